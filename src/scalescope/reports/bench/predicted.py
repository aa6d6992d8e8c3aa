"""Memory and time as predicted before a cell ran, over what was then measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from scalescope.points.bench import Cell, Cells
from scalescope.reports.bench import words
from scalescope.reports.bench.curves import binary_ticks
from scalescope.reports.bench.view import by_size, short_names, sound
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_bytes, format_factor, format_percent, format_significant

BANDS = {"memory": 0.10, "time": 0.12}
"""Median error that the project asks of its predictions."""
WIDEST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One quantity of one cell."""

    cell: Cell
    measured: float
    predicted: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return abs(self.ratio - 1)


def pairs(cells: Cells, what: str) -> list[Pair]:
    """Cells that have both figures; `what` is memory or time."""
    found = []
    for cell in sound(cells):
        expected = cell.expected
        if expected is None or cell.timing is None:
            continue
        if what == "memory":
            measured = float(cell.memory.peak) if cell.memory and cell.memory.peak else None
            predicted = expected.memory_bytes
        else:
            measured, predicted = cell.timing.median, expected.seconds
        if measured and predicted:
            found.append(Pair(cell=cell, measured=measured, predicted=predicted))
    return found


def predicted_figure(cells: Cells) -> Figure | None:
    """Draw predicted over measured against measured, with the band that is aimed at."""
    both = {what: pairs(cells, what) for what in BANDS}
    kept = {what: found for what, found in both.items() if found}
    if not kept:
        return None
    dtypes: list[str] = list(dict.fromkeys(pair.cell.dtype for found in kept.values() for pair in found))
    shades = dict(zip(dtypes, theme.ordered(max(len(dtypes), 2)), strict=False))
    keys = [Key(kind="point", label=f"cells in {dtype}", colour=shade) for dtype, shade in shades.items()]
    keys.append(Key(kind="band", label="the error aimed at", colour=theme.INK))
    return Figure(
        name="predicted",
        title="Predicted against measured",
        caption=_caption(kept),
        panels=tuple(_panel(what, found, cells, shades) for what, found in kept.items()),
        keys=tuple(keys),
        table=_table(kept, cells),
    )


def _caption(kept: dict[str, list[Pair]]) -> str:
    told = ["What the cost model said before the cells ran, over what was measured then; 1x is right."]
    for what, found in kept.items():
        errors = [pair.error for pair in found]
        inside = sum(error <= BANDS[what] for error in errors) / len(errors)
        told.append(
            f"{what.capitalize()}: median error {format_percent(float(np.median(errors)))} over "
            f"{len(errors)} cells, {format_percent(inside)} of them within {format_percent(BANDS[what])}."
        )
    return " ".join(told)


def _panel(what: str, found: Sequence[Pair], cells: Cells, shades: dict[str, theme.Colour]) -> Panel:
    names = short_names(cells)
    show: Callable[[float], str] = format_bytes if what == "memory" else words.seconds
    rows: list[Row] = [
        {
            "x": pair.measured,
            "y": min(max(pair.ratio, 1 / WIDEST), WIDEST),
            "dtype": pair.cell.dtype,
            "about": words.about(pair.cell, names[pair.cell.model]),
        }
        for pair in found
    ]
    wide = axes.padded([pair.measured for pair in found], 0.04)
    reach = max([1.3, *(max(row["y"], 1 / row["y"]) for row in rows)]) * 1.03
    ticks = [tick for tick in (0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0, 10.0) if 1 / reach <= tick <= reach]
    titles = {"memory": "Measured peak memory", "time": "Measured time of a call"}
    x = axes.log_x("x", titles[what], wide, show if what == "memory" else words.tick_seconds)
    if what == "memory":
        x["axis"] = axes.axis(titles[what], binary_ticks(wide, 5), show, grid=False)
    y = axes.log_y("y", "Predicted over measured", (1 / reach, reach))
    y["axis"] = axes.axis("Predicted over measured", ticks, _factor, grid=True)
    scale = alt.Scale(domain=list(shades), range=[colour.light for colour in shades.values()])
    band: list[Row] = [{"x": end, "low": 1 - BANDS[what], "y": 1 + BANDS[what]} for end in wide]
    area = alt.Chart(marks.data(band)).mark_area(color=theme.INK.light, opacity=0.12, clip=True)
    points = alt.Chart(marks.data(rows)).mark_point(filled=True, size=26, opacity=0.75, clip=True)
    layers = [
        area.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("y")),
        points.encode(
            x=x, y=y, color=alt.Color("dtype:N", scale=scale, legend=None), tooltip=alt.Tooltip("about:N")
        ),
    ]
    return Panel(
        title=f"{what.capitalize()}, band ±{format_percent(BANDS[what])}",
        chart=marks.layered(layers, 280),
        label=f"Predicted over measured {what} of {len(found)} cells.",
    )


def _factor(value: float) -> str:
    return f"{value:g}x"


def _table(kept: dict[str, list[Pair]], cells: Cells) -> Table:
    names = short_names(cells)
    lengths = sorted({pair.cell.workload.length for found in kept.values() for pair in found})
    told: dict[tuple[str, int], dict[str, Pair]] = {}
    for what, found in kept.items():
        for pair in found:
            told.setdefault((pair.cell.model, pair.cell.workload.length), {}).setdefault(what, pair)
    models = by_size(cells, dict.fromkeys(model for model, _ in told))
    rows = [(names[model], *(_both(told.get((model, length), {})) for length in lengths)) for model in models]
    return Table(
        name="predicted-table",
        title="Predicted against measured",
        columns=("Model", *(f"{length}" for length in lengths)),
        rows=tuple(rows),
        note="Measured memory and time, each with the error of its prediction: +10% was predicted too high.",
    )


def _both(found: dict[str, Pair]) -> str:
    shows: dict[str, Callable[[float], str]] = {"memory": format_bytes, "time": words.seconds}
    parts = [f"{shows[what](pair.measured)} {_signed(pair.ratio)}" for what, pair in found.items()]
    return "; ".join(parts) if parts else words.NOTHING


def _signed(ratio: float) -> str:
    if ratio > 2:
        return f"({format_factor(ratio)})"
    return f"({'+' if ratio >= 1 else '−'}{format_significant(100 * abs(ratio - 1), 2)}%)"
