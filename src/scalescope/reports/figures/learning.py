"""Learning curves: the loss of every run while it was trained."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.reports.contents import Contents, Curve
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import HELD, MEASURED, Figure, Key, Panel, Row, short
from scalescope.reports.tables import Table
from scalescope.units import format_count, format_loss

MOST_POINTS = 60
"""Points drawn of one curve; the JSON twin has all of them."""


def learning_curves(contents: Contents) -> Figure | None:
    """Loss against tokens seen, one line a run, coloured by size; None without curves."""
    drawn = [curve for curve in contents.curves if len(curve.tokens) > 1]
    if not drawn:
        return None
    sizes = sorted({curve.params for curve in drawn})
    colours = dict(zip(map(format_count, sizes), theme.ordered(len(sizes)), strict=False))
    chart = _chart(drawn, colours)
    label = f"Loss falling with tokens in {len(drawn)} runs of {format_count(sizes[0])} parameters and more."
    return Figure(
        name="learning",
        title="Learning curves",
        caption="Training loss, smoothed, against tokens seen; one line a run. Lines that end early are "
        "the short horizons of the grid.",
        panels=(Panel(title="", chart=chart, label=label),),
        keys=_keys(drawn, colours),
        table=_table(drawn),
    )


def thinned(curve: Curve) -> list[int]:
    """Choose at most `MOST_POINTS` points of a curve, even on the log axis it is drawn on."""
    tokens = np.asarray(curve.tokens)
    if len(tokens) <= MOST_POINTS:
        return list(range(len(tokens)))
    wanted = np.geomspace(max(tokens[0], 1e-3 * tokens[-1]), tokens[-1], MOST_POINTS)
    return sorted(set(np.clip(np.searchsorted(tokens, wanted), 0, len(tokens) - 1).tolist()))


def _rows(curve: Curve) -> list[Row]:
    kind = HELD if curve.held_out else MEASURED
    about = f"{curve.name}\nN {format_count(curve.params)}" + ("\nheld out of every fit" if curve.held_out else "")
    fixed: Row = {"run": curve.name, "size": format_count(curve.params), "kind": kind, "about": about}
    return [
        fixed | {"x": short(curve.tokens[i]), "y": short(curve.loss[i])}
        for i in thinned(curve)
        if curve.tokens[i] > 0 and np.isfinite(curve.loss[i])
    ]


def _chart(drawn: list[Curve], colours: dict[str, theme.Colour]) -> alt.LayerChart:
    rows = [row for curve in drawn for row in _rows(curve)]
    x = axes.log_x("x", axes.TOKENS_TITLE, axes.padded([row["x"] for row in rows], 0.01))
    # The first steps are far above all that matters; the axis starts where a tenth of the points lie above.
    top = float(np.quantile([row["y"] for row in rows], 0.97))
    y = axes.loss_y("y", axes.padded([top, min(row["y"] for row in rows)], 0.03), title="Training loss, nats/token")
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    base = {"strokeWidth": 1.3, "opacity": 0.85, "clip": True}
    seen = (
        alt.Chart(marks.data([row for row in rows if row["kind"] == MEASURED]))
        .mark_line(**base)
        .encode(
            x=x,
            y=y,
            detail="run:N",
            color=alt.Color("size:N", scale=scale, legend=alt.Legend(title="Parameters N")),
            tooltip="about:N",
        )
    )
    held_rows = [row for row in rows if row["kind"] == HELD]
    if not held_rows:
        return marks.layered([seen])
    held = (
        alt.Chart(marks.data(held_rows))
        .mark_line(color=theme.HELD_OUT.light, strokeWidth=2.2, clip=True)
        .encode(x=x, y=y, detail="run:N", tooltip="about:N")
    )
    return marks.layered([seen, held])


def _keys(drawn: list[Curve], colours: dict[str, theme.Colour]) -> tuple[Key, ...]:
    fitted = {format_count(curve.params) for curve in drawn if not curve.held_out}
    keys = [Key(kind="line", label=f"N {label}", colour=colours[label]) for label in colours if label in fitted]
    if any(curve.held_out for curve in drawn):
        keys.append(Key(kind="line", label="held-out run", colour=theme.HELD_OUT))
    return tuple(keys)


def _table(drawn: list[Curve]) -> Table:
    rows = tuple(
        (
            curve.name,
            format_count(curve.params),
            format_count(curve.tokens[-1]),
            format_loss(curve.loss[0]),
            format_loss(curve.loss[-1]),
            HELD if curve.held_out else "fitted",
        )
        for curve in sorted(drawn, key=lambda curve: (curve.held_out, curve.params, curve.tokens[-1]))
    )
    columns = ("Run", "Parameters N", "Tokens D", "First loss", "Last loss", "Use")
    return Table(name="learning-table", title="Learning curves", columns=columns, rows=rows)
