"""Loss against compute of every variant, with the fitted frontiers."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.multipliers import Frontier
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.levers.look import charged, colours
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown, three_digits
from scalescope.units import format_count, format_flop, format_loss, format_percent

TITLES = {"loss": axes.LOSS_TITLE, "bits_per_byte": "Loss, bits/byte"}
_HEIGHT = 340


def losses_figure(contents: LeverContents) -> Figure:
    """Draw runs and frontiers; the runs of a ladder lie on or above their frontier."""
    made, palette = contents.multipliers, colours(contents.multipliers)
    measured = {name: _rows(contents, name) for name in palette if name in contents.runs}
    whole = [row for rows in measured.values() for row in rows]
    reach = made.measured[1] * 10
    wide = axes.padded([*(row["x"] for row in whole), reach], 0.03)
    curves = {one.name: _curve(one, wide) for one in made.frontiers}
    heights = [
        row[key] for rows in curves.values() for row in rows for key in ("y", "low", "high") if key in row
    ]
    tall = axes.padded([*(row["y"] for row in whole), *heights], 0.04)
    x = axes.log_x("x", axes.COMPUTE_TITLE, wide, axes.bare_flop)
    y = axes.loss_y("y", tall, title=TITLES[made.metric])
    layers = [layer for name, rows in curves.items() for layer in marks.curve(rows, x, y, palette[name])]
    layers += [_dots(rows, x, y, palette[name]) for name, rows in measured.items() if rows]
    return Figure(
        name="losses",
        title="Loss against compute",
        caption="Dots are measured runs, in the compute that each is charged. A line is the best loss of "
        "a variant "
        f"at each compute under the fit, with its {format_percent(made.level)} interval: solid within its "
        "runs, "
        "dashed beyond. Runs lie above their line where their size is not the best for their compute.",
        panels=(
            Panel(
                title="",
                chart=marks.layered(layers, _HEIGHT),
                label=f"Loss against compute of {', '.join(palette)}, runs and fitted frontiers.",
            ),
        ),
        keys=_keys(palette),
        table=_table(contents),
        stacked=False,
    )


def _rows(contents: LeverContents, name: str) -> list[Row]:
    runs, made = contents.runs[name], contents.multipliers
    compute, sizes = charged(made, runs), runs[made.size_column]
    rows = []
    for i, (c, n, loss) in enumerate(zip(compute, sizes, runs[made.metric], strict=True)):
        if not (np.isfinite(c) and np.isfinite(loss)):
            continue
        about = f"{name}\nN {format_count(float(n))}, D {format_count(float(runs.tokens[i]))}\n"
        about += f"C {format_flop(float(c))}\nL {format_loss(float(loss))}"
        rows.append({"x": float(c), "y": float(loss), "about": about})
    return rows


def _curve(frontier: Frontier, wide: axes.Domain) -> list[Row]:
    low, high = frontier.span
    # The ends of the runs stand on the curve, so that solid and dashed meet there.
    at = np.unique(np.concatenate([frontier.compute, [low, high, wide[1]]]))
    at = at[(at >= max(wide[0], frontier.compute[0])) & (at <= wide[1])]
    log_c = np.log(frontier.compute)
    lines = tuple(
        np.exp(np.interp(np.log(at), log_c, np.log(line)))
        for line in (frontier.loss, frontier.low, frontier.high)
    )
    return predictions.rows(at, (lines[0], lines[1], lines[2]), (low, high))


def _dots(rows: list[Row], x: alt.X, y: alt.Y, colour: theme.Colour) -> alt.Chart:
    base = alt.Chart(marks.data(rows))
    dots = base.mark_point(filled=True, size=30, opacity=0.75, color=colour.light, clip=True)
    chart: alt.Chart = dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))
    return chart


def _keys(palette: dict[str, theme.Colour]) -> tuple[Key, ...]:
    keys = [Key(kind="point", label=f"{name}, measured", colour=colour) for name, colour in palette.items()]
    keys += [
        Key(kind="fitted", label="frontier within the runs, in the colour of its variant", colour=theme.INK)
    ]
    keys += [Key(kind="extrapolation", label="extrapolated", colour=theme.INK)]
    return tuple(keys)


def _table(contents: LeverContents) -> Table:
    made = contents.multipliers
    letters = ("A", "alpha", "B", "beta")
    rows = []
    for one in made.frontiers:
        held = one.coefficients
        rows.append(
            (
                one.name,
                f"{len(contents.runs[one.name])}" if one.name in contents.runs else "–",
                number(one.irreducible, format_loss),
                number(one.scale, three_digits),
                shown(one.exponent, three_digits),
                *(number(held.get(letter, float("nan")), three_digits) for letter in letters),
                f"{format_flop(one.span[0])} to {format_flop(one.span[1])}",
            )
        )
    return Table(
        name="frontiers",
        title="Fitted frontiers",
        columns=("Variant", "Runs", "E", "K", "gamma", *letters, "Compute of its runs"),
        rows=tuple(rows),
        note="Best loss at C is E + K C^-gamma; with sizes and tokens apart it follows from "
        "E + A N^-alpha + B D^-beta and the compute as counted.",
    )
