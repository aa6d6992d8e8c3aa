"""Learning rates tried for every variant: a comparison is as good as its tuning."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.reports.figures import axes, marks
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.levers.look import colours
from scalescope.reports.tables import Table
from scalescope.units import format_count, format_loss

_HEIGHT = 220

Tried = tuple[tuple[float, float], ...]


def tuning_figure(contents: LeverContents) -> Figure | None:
    """Draw loss against learning rate; None where no variant tried two."""
    palette = colours(contents.multipliers)
    tried = {name: usable(contents.rates.get(name, ())) for name in palette}
    tried = {name: pairs for name, pairs in tried.items() if len(pairs) > 1}
    if not tried:
        return None
    rows = {name: _rows(name, pairs) for name, pairs in tried.items()}
    whole = [row for each in rows.values() for row in each]
    x = axes.log_x(
        "x", "Multiple of the recipe's learning rates", axes.padded([row["x"] for row in whole]), format_count
    )
    y = axes.loss_y("y", axes.padded([row["y"] for row in whole]), title="Loss after tuning runs")
    layers: list[alt.Chart] = []
    for name, each in rows.items():
        colour = palette[name].light
        base = alt.Chart(marks.data(each))
        layers.append(base.mark_line(color=colour, strokeWidth=1.6, clip=True).encode(x=x, y=y))
        dots = base.mark_point(filled=True, size=40, color=colour, opacity=1, clip=True)
        layers.append(dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")))
        best = [min(each, key=lambda row: float(row["y"]))]
        ring = alt.Chart(marks.data(best)).mark_point(size=170, strokeWidth=1.8, color=colour, clip=True)
        layers.append(ring.encode(x=x, y=y))
    return Figure(
        name="tuning",
        title="Learning rates that were tried",
        caption="Each variant was tuned by itself, on two sizes; this is the larger. The ring is the lowest "
        "loss; runs take the minimum of a parabola near it. A ring at the end of its line may not be the "
        "best there is, and then the comparison is unfair to that variant.",
        panels=(
            Panel(
                title="",
                chart=marks.layered(layers, _HEIGHT),
                label=f"Loss against learning rate of {', '.join(tried)}.",
            ),
        ),
        keys=tuple(Key(kind="line", label=name, colour=palette[name]) for name in tried),
        table=_table(contents, tuple(palette)),
    )


def usable(pairs: Tried) -> Tried:
    """Rates above zero, lowest first; those whose loss is no number (diverged) are left out."""
    return tuple(sorted((rate, loss) for rate, loss in pairs if rate > 0 and np.isfinite(loss)))


def _rows(name: str, pairs: Tried) -> list[Row]:
    return [
        {
            "x": rate,
            "y": loss,
            "about": f"{name}\nrate {format_count(rate)}\nL {format_loss(loss)}",
        }
        for rate, loss in pairs
    ]


def _told(loss: float) -> str:
    return format_loss(loss) if np.isfinite(loss) else "diverged"


def _table(contents: LeverContents, names: tuple[str, ...]) -> Table:
    rows = []
    for name in names:
        pairs = usable(contents.rates.get(name, ()))
        if not pairs:
            rows.append((name, "none tried", "–", "–"))
            continue
        best = min(pairs, key=lambda pair: pair[1])
        whole = sorted(contents.rates[name])
        inside = whole[0][0] < best[0] < whole[-1][0]
        told = ", ".join(f"{format_count(rate)}: {_told(loss)}" for rate, loss in whole)
        rows.append((name, format_count(best[0]), "inside" if inside else "at an end", told))
    return Table(
        name="tuning-table",
        title="Learning rates tried",
        columns=("Variant", "Lowest at", "Within its range", "Rate: loss"),
        rows=tuple(rows),
    )
