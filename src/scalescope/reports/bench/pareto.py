"""Which models no other beats in throughput and in memory at once, at each length."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from scalescope.points.bench import Cell
from scalescope.reports.bench import words
from scalescope.reports.bench.curves import binary_ticks
from scalescope.reports.bench.view import View, short_names, size_class, size_colours, sound
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_bytes, format_count

MOST_PANELS = 6


def front(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that no other beats in both: as many tokens per second in less memory, or more in as little."""
    best: list[Cell] = []
    ranked = sorted(cells, key=lambda cell: (_peak(cell), -(cell.tokens_per_s or 0)))
    for cell in ranked:
        if not best or (cell.tokens_per_s or 0) > (best[-1].tokens_per_s or 0):
            best.append(cell)
    return best


def fronts(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Front of every class of size: a larger model is not beaten by a smaller one just for being larger."""
    classes = list(size_colours(cells))
    return {name: front([cell for cell in cells if size_class(cell.params) == name]) for name in classes}


def _peak(cell: Cell) -> float:
    return float(cell.memory.peak or 0) if cell.memory else 0.0


def pareto_figure(view: View) -> Figure | None:
    """Draw memory against throughput for each length, and the front."""
    cells = [cell for cell in sound(view.cells) if _peak(cell) > 0 and cell.tokens_per_s]
    lengths = sorted({cell.workload.length for cell in cells})
    lengths = [length for length in lengths if sum(c.workload.length == length for c in cells) > 1]
    if not lengths:
        return None
    lengths = lengths[-MOST_PANELS:]
    shades = size_colours(cells)
    wide = axes.padded([_peak(cell) for cell in cells], 0.06)
    tall = axes.padded([cell.tokens_per_s or 1 for cell in cells], 0.1)
    names = short_names(view.cells)
    groups = {length: [cell for cell in cells if cell.workload.length == length] for length in lengths}
    keys = [Key(kind="point", label=label, colour=shade) for label, shade in shades.items()]
    keys.append(Key(kind="line", label="front of its size", colour=theme.INK))
    return Figure(
        name="front",
        title="Throughput against memory",
        caption="A large dot is a model that none of its class of size beats in both; towards the upper left "
        "is better. Speed and memory say nothing of how good the answers are. Colours are classes of "
        "size, in parameters.",
        panels=tuple(_panel(n, group, names, shades, (wide, tall)) for n, group in groups.items()),
        keys=tuple(keys),
        table=_table(groups, names),
    )


def _panel(
    length: int,
    cells: list[Cell],
    names: dict[str, str],
    shades: dict[str, theme.Colour],
    spans: tuple[axes.Domain, axes.Domain],
) -> Panel:
    def row(cell: Cell) -> Row:
        name = names[cell.model]
        return {
            "x": _peak(cell),
            "y": float(cell.tokens_per_s or 0),
            "size": size_class(cell.params),
            "name": name,
            "about": words.about(cell, name),
        }

    best = [cell for group in fronts(cells).values() for cell in group]
    x = axes.log_x("x", "Peak memory", spans[0], format_bytes)
    x["axis"] = axes.axis("Peak memory", binary_ticks(spans[0], 5), format_bytes, grid=False)
    y = axes.log_y("y", "Tokens/s", spans[1])
    scale = alt.Scale(domain=list(shades), range=[shade.light for shade in shades.values()])
    colour = alt.Color("size:N", scale=scale, legend=None)
    on_front = alt.Chart(marks.data([row(cell) for cell in best]))
    points = alt.Chart(marks.data([row(cell) for cell in cells]))
    about = alt.Tooltip("about:N")
    line = on_front.mark_line(interpolate="step-after", strokeWidth=1.4, clip=True)
    small = points.mark_point(filled=True, size=18, opacity=0.45, clip=True)
    large = on_front.mark_point(filled=True, size=60, opacity=1, clip=True)
    layers = [
        line.encode(x=x, y=y, color=colour),
        small.encode(x=x, y=y, color=colour, tooltip=about),
        large.encode(x=x, y=y, color=colour, tooltip=about),
    ]
    return Panel(
        title=f"{length} tokens ({len(cells)} models)",
        chart=marks.layered(layers, 270),
        label=f"Tokens per second against peak memory of {len(cells)} models at {length} tokens; "
        f"{len(best)} of them are beaten by none of their size.",
    )


def _table(groups: dict[int, list[Cell]], names: dict[str, str]) -> Table:
    rows = []
    for length, cells in groups.items():
        rows += [
            (
                f"{length}",
                size,
                names[cell.model],
                words.rate(cell.tokens_per_s),
                words.amount(_peak(cell)),
                format_count(cell.params) if cell.params else words.NOTHING,
            )
            for size, best in fronts(cells).items()
            for cell in best
        ]
    return Table(
        name="front-table",
        title="Models that none of their size beats in throughput and memory",
        columns=("Length", "Class of size", "Model", "Throughput", "Peak memory", "Parameters"),
        rows=tuple(rows),
        note="The models behind the front are in the tables of throughput and of memory.",
    )
