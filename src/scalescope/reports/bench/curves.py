"""Throughput and memory against length: a line a model, by category where the models are many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt

from scalescope.points.bench import Cell, Cells
from scalescope.reports.bench import words
from scalescope.reports.bench.view import (
    View,
    by_category,
    by_size,
    short_names,
    size_class,
    size_colours,
    sound,
)
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_bytes, format_count, format_significant

FEW = 8
"""Up to this many models each has a colour of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is drawn against length."""

    name: str
    title: str
    axis: str
    of: Callable[[Cell], float | None]
    ends: Callable[[Cell], tuple[float, float] | None]
    show: Callable[[float], str]
    caption: str
    doubling: bool = False
    """Whether ticks are powers of two."""


def _peak(cell: Cell) -> float | None:
    return None if cell.memory is None else cell.memory.peak


THROUGHPUT = Measured(
    name="throughput",
    title="Throughput against length",
    axis="Tokens/s",
    of=lambda cell: cell.tokens_per_s,
    ends=words.ends,
    show=format_count,
    caption="Useful tokens per second, median of the repeats with its 90% interval. A line that falls shows "
    "the part of attention that grows with the square of the length; one that rises at the short end, a "
    "fixed cost a call.",
)
MEMORY = Measured(
    name="memory",
    title="Memory against length",
    axis="Peak above the libraries",
    of=_peak,
    ends=lambda _: None,
    show=format_bytes,
    caption="Highest memory while it ran, weights included, above what the process held before the model.",
    doubling=True,
)


def curve_figure(view: View, what: Measured) -> Figure | None:
    """Draw one quantity against length, both axes logarithmic."""
    cells = [cell for cell in sound(view.cells) if (what.of(cell) or 0) > 0]
    if not cells:
        return None
    kept = view.cells.only(cells)
    names = short_names(view.cells)
    few = len(kept.models) <= FEW
    shades = _own(kept, names) if few else size_colours(cells)
    groups = {"": kept} if few else by_category(kept)
    lengths = axes.padded([float(length) for length in kept.lengths], 0.04)
    tall = axes.padded([end for cell in cells for end in _span(cell, what)], 0.05)
    return Figure(
        name=what.name,
        title=what.title,
        caption=what.caption + ("" if few else " Colours are classes of size, in parameters."),
        panels=tuple(
            _panel(title, each, what, names, shades, (lengths, tall), kept.lengths, few=few)
            for title, each in groups.items()
        ),
        keys=tuple(Key(kind="line", label=label, colour=colour) for label, colour in shades.items()),
        table=_table(kept, what, names),
    )


def _own(cells: Cells, names: dict[str, str]) -> dict[str, theme.Colour]:
    ordered = by_size(cells, cells.models)
    return dict(zip([names[model] for model in ordered], theme.ordered(len(ordered)), strict=True))


def _span(cell: Cell, what: Measured) -> tuple[float, ...]:
    value = what.of(cell) or 1.0
    return (value, *(what.ends(cell) or ()))


def _panel(
    title: str,
    cells: Cells,
    what: Measured,
    names: dict[str, str],
    shades: dict[str, theme.Colour],
    spans: tuple[axes.Domain, axes.Domain],
    lengths: Sequence[int],
    *,
    few: bool,
) -> Panel:
    rows = [_row(cell, what, names[cell.model], few=few) for cell in cells]
    x = axes.log_x("x", "Length, tokens", spans[0], format_count)
    x["axis"] = axes.axis("Length, tokens", _ticks(lengths, spans[0]), _plain, grid=False)
    y = axes.log_y("y", what.axis, spans[1], what.show)
    if what.doubling:
        y["axis"] = axes.axis(what.axis, binary_ticks(spans[1]), what.show, grid=True)
    scale = alt.Scale(domain=list(shades), range=[colour.light for colour in shades.values()])
    colour = alt.Color("group:N", scale=scale, legend=None)
    base = alt.Chart(marks.data(rows))
    lines = base.mark_line(strokeWidth=1.3, opacity=0.75, clip=True)
    points = base.mark_point(filled=True, size=22 if not few else 40, opacity=0.95, clip=True)
    layers = [lines.encode(x=x, y=y, color=colour, detail=alt.Detail("model:N"))]
    bounded = [row for row in rows if "low" in row]
    if bounded:
        bars = alt.Chart(marks.data(bounded)).mark_rule(strokeWidth=2.4, opacity=0.45, clip=True)
        layers.append(bars.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high"), color=colour))
    layers.append(points.encode(x=x, y=y, color=colour, tooltip=alt.Tooltip("about:N")))
    n = len(cells.models)
    return Panel(
        title=f"{title} ({n})" if title else "",
        chart=marks.layered(layers, 360 if few else 230),
        label=f"{what.title} of {n} models{f', {title}' if title else ''}.",
    )


def _plain(value: float) -> str:
    return f"{value:.0f}"


def _ticks(lengths: Sequence[int], span: axes.Domain) -> list[float]:
    kept = [float(length) for length in lengths]
    return kept if len(kept) <= 7 else axes.log_ticks(span)


def binary_ticks(span: axes.Domain, most: int = 6) -> list[float]:
    """Powers of two inside a span of bytes, every k-th where they are many, in a page's digits."""
    powers = [float(f"{2.0**power:.7g}") for power in range(10, 60) if span[0] <= 2.0**power <= span[1]]
    step = -(-len(powers) // most) if powers else 1
    return powers[::-1][::step][::-1] or axes.log_ticks(span)


def _row(cell: Cell, what: Measured, name: str, *, few: bool) -> Row:
    row: Row = {
        "x": float(cell.workload.length),
        "y": float(what.of(cell) or 0.0),
        "group": name if few else size_class(cell.params),
        "model": name,
        "about": words.about(cell, name),
    }
    between = what.ends(cell)
    return row if between is None else row | {"low": between[0], "high": between[1]}


def _table(cells: Cells, what: Measured, names: dict[str, str]) -> Table:
    lengths = cells.lengths
    found = View(label="", cells=cells).by_model()
    rows = [
        (names[model], *(_told(found[model].get(length), what) for length in lengths))
        for model in by_size(cells, cells.models)
    ]
    return Table(
        name=f"{what.name}-table",
        title=what.title,
        columns=("Model", *(f"{length}" for length in lengths)),
        rows=tuple(rows),
        note=f"{what.axis}{', [90% interval of the median]' if what is THROUGHPUT else ''}. "
        "Doubtful cells are left out.",
    )


def _told(cell: Cell | None, what: Measured) -> str:
    if cell is None:
        return words.NOTHING
    between = what.ends(cell)
    write = what.show if what.doubling else format_significant
    ends = f" [{write(between[0])}, {write(between[1])}]" if between else ""
    return write(float(what.of(cell) or 0.0)) + ends
