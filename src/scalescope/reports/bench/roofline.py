"""What each cell reached of what the machine can do: FLOP/s against FLOP per byte that must move.

The roof is that of Williams, Waterman and Patterson (2009), https://doi.org/10.1145/1498765.1498785: the rate
of a large matrix product, and below it the rate of memory times the intensity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from scalescope.points.bench import BenchMachine, Cell, Cells
from scalescope.reports.bench import words
from scalescope.reports.bench.view import by_size, short_names, sound
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_count, format_percent, format_significant

X_TITLE = "Intensity, FLOP per byte of weights, cache and logits"
Y_TITLE = "FLOP/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One cell under the roof."""

    cell: Cell
    intensity: float
    """FLOP per byte."""
    rate: float
    """FLOP/s."""
    roof: float | None
    """FLOP/s that the machine allows at this intensity; None where it was not measured."""


def moved_bytes(cell: Cell) -> float | None:
    """Bytes that a call cannot do without: weights, cache and logits once; None where weights are unknown."""
    if cell.memory is None:
        return None
    weights = cell.memory.weights or (cell.load.weight_bytes if cell.load else None)
    if not weights:
        return None
    return float(weights + (cell.memory.cache or 0) + (cell.memory.logits or 0))


def roof(machine: BenchMachine, dtype: str, intensity: float) -> float | None:
    """FLOP/s that the machine allows at an intensity, from its matrix product and its copy."""
    peak = machine.matmul_flop_per_s.get(dtype)
    slope = machine.copy_bytes_per_s
    limits = [one for one in (peak, None if slope is None else slope * intensity) if one]
    return min(limits) if limits else None


def places(cells: Cells) -> list[Place]:
    """Every sound cell whose FLOP and weights are known."""
    found = []
    for cell in sound(cells):
        rate, moved = cell.flop_per_s, moved_bytes(cell)
        if rate and moved and cell.flop:
            at = cell.flop / moved
            found.append(Place(cell=cell, intensity=at, rate=rate, roof=roof(cells.machine, cell.dtype, at)))
    return found


def roofline_figure(cells: Cells) -> Figure | None:
    """Draw every cell under the roofs of its machine, coloured by length."""
    found = places(cells)
    if not found:
        return None
    lengths = sorted({place.cell.workload.length for place in found})
    shades = dict(zip([f"{length}" for length in lengths], theme.ordered(len(lengths)), strict=True))
    peaks: dict[str, float] = {
        dtype: peak
        for dtype, peak in cells.machine.matmul_flop_per_s.items()
        if dtype in {place.cell.dtype for place in found} and peak > 0
    }
    keys = [Key(kind="point", label=f"{length} tokens", colour=shade) for length, shade in shades.items()]
    keys += [Key(kind="line", label="what this machine allows", colour=theme.INK)] if peaks else []
    return Figure(
        name="roofline",
        title="How much of this machine the models use",
        caption=_caption(found, cells.machine, peaks),
        panels=(
            Panel(
                title="",
                chart=_chart(found, cells, shades, peaks),
                label=f"FLOP per second against FLOP per byte of {len(found)} cells, below its roof.",
            ),
        ),
        keys=tuple(keys),
        table=_table(found, cells),
    )


def _caption(found: Sequence[Place], machine: BenchMachine, peaks: Mapping[str, float]) -> str:
    shares = [place.rate / place.roof for place in found if place.roof]
    told = (
        "FLOP of matrices and attention scores over time, against the least that must be read for them: "
        "activations move too, so the intensity is an upper bound."
    )
    if peaks:
        measured = ", ".join(f"{words.flop_rate(peak)} in {dtype}" for dtype, peak in peaks.items())
        told += f" The ceiling is a large matrix product measured here: {measured}"
        copy = machine.copy_bytes_per_s
        told += f"; the slope, a copy: {format_significant(copy / 1e9)} GB/s." if copy else "."
    if shares:
        told += f" The median cell reaches {format_percent(float(np.median(shares)))} of its roof."
    return told


def _chart(
    found: Sequence[Place], cells: Cells, shades: dict[str, theme.Colour], peaks: Mapping[str, float]
) -> alt.LayerChart:
    names = short_names(cells)
    rows: list[Row] = [
        {
            "x": place.intensity,
            "y": place.rate,
            "length": f"{place.cell.workload.length}",
            "about": words.about(place.cell, names[place.cell.model]),
        }
        for place in found
    ]
    wide = axes.padded([place.intensity for place in found], 0.05)
    roofs = _roofs(wide, cells.machine, peaks)
    tall = axes.padded([*(place.rate for place in found), *peaks.values()], 0.06)
    x = axes.log_x("x", X_TITLE, wide, format_count)
    y = axes.log_y("y", Y_TITLE, tall, _bare)
    scale = alt.Scale(domain=list(shades), range=[colour.light for colour in shades.values()])
    layers: list[alt.Chart] = []
    if roofs:
        base = alt.Chart(marks.data(roofs))
        layers.append(
            base.mark_line(color=theme.INK.light, strokeWidth=1.8, clip=True).encode(
                x=x, y=y, detail=alt.Detail("dtype:N")
            )
        )
        ends = [row for row in roofs if "text" in row]
        layers.append(
            alt.Chart(marks.data(ends))
            .mark_text(align="right", dy=-7, fontSize=11, color=theme.INK.light)
            .encode(x=x, y=y, text=alt.Text("text:N"))
        )
    points = alt.Chart(marks.data(rows)).mark_point(filled=True, size=34, opacity=0.8, clip=True)
    colour = alt.Color("length:N", scale=scale, legend=None)
    layers.append(points.encode(x=x, y=y, color=colour, tooltip=alt.Tooltip("about:N")))
    return marks.layered(layers, 360)


def _bare(value: float) -> str:
    unit, size = ("T", 1e12) if value >= 1e12 else ("G", 1e9)
    return f"{format_count(value / size)} {unit}"


def _roofs(wide: axes.Domain, machine: BenchMachine, peaks: Mapping[str, float]) -> list[Row]:
    rows: list[Row] = []
    for dtype, peak in peaks.items():
        grid = np.array(wide)
        knee = peak / machine.copy_bytes_per_s if machine.copy_bytes_per_s else wide[0]
        inside = [knee] if wide[0] < knee < wide[1] else []
        rows += [
            {"x": float(at), "y": float(roof(machine, dtype, float(at)) or peak), "dtype": dtype}
            for at in sorted([*grid.tolist(), *inside])
        ]
        rows[-1] |= {"text": f"matrix product, {dtype}"}
    return rows


def _table(found: Sequence[Place], cells: Cells) -> Table:
    names = short_names(cells)
    lengths = sorted({place.cell.workload.length for place in found})
    by_model: dict[str, dict[int, Place]] = {}
    for place in found:
        by_model.setdefault(place.cell.model, {}).setdefault(place.cell.workload.length, place)
    rows = [
        (names[model], *(_told(by_model[model].get(length)) for length in lengths))
        for model in by_size(cells, by_model)
    ]
    return Table(
        name="roofline-table",
        title="How much of this machine the models use",
        columns=("Model", *(f"{length}" for length in lengths)),
        rows=tuple(rows),
        note="GFLOP/s at FLOP per byte, and the share of what the machine allows there.",
    )


def _told(place: Place | None) -> str:
    if place is None:
        return words.NOTHING
    share = f" ({format_percent(place.rate / place.roof)})" if place.roof else ""
    return f"{format_significant(place.rate / 1e9)} at {format_count(place.intensity)}{share}"
