"""What loading a model consists of: code, construction, mapping the file, touching it, moving it."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np

from scalescope.points.bench import Cells, Load
from scalescope.reports.bench import words
from scalescope.reports.bench.view import chunks, short_names
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table

PARTS = {
    "import_s": "import the model's code",
    "construct_s": "construct",
    "map_s": "map the file",
    "materialise_s": "touch every page",
    "to_device_s": "move to the device",
}
SHADES = dict(zip(PARTS, theme.ordered(len(PARTS)), strict=True))
FEW = 12
"""Up to this many models stand in one panel; more in three, or six, side by side."""
MOST_ROWS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Median seconds of each part over the cells of a model."""

    name: str
    parts: dict[str, float]
    weight_bytes: int | None
    page_cache: str

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.parts.values())


def loads(cells: Cells) -> list[Loaded]:
    """Every model that was loaded, fastest first; cold and warm cache, and types, apart."""
    names = short_names(cells)
    dtypes = {cell.dtype for cell in cells}
    groups: dict[tuple[str, str], list[Load]] = {}
    for cell in cells:
        if cell.ok and cell.load is not None and cell.load.total_s:
            told = names[cell.model] + (f", {cell.dtype}" if len(dtypes) > 1 else "")
            groups.setdefault((told, cell.load.page_cache), []).append(cell.load)
    found = [_median(name, cache, group) for (name, cache), group in groups.items()]
    return sorted(found, key=lambda one: one.total)


def _median(name: str, cache: str, group: list[Load]) -> Loaded:
    known = {
        part: [getattr(load, part) for load in group if getattr(load, part) is not None] for part in PARTS
    }
    parts = {part: float(np.median(values)) for part, values in known.items() if values}
    sizes = [load.weight_bytes for load in group if load.weight_bytes]
    return Loaded(name=name, parts=parts, weight_bytes=sizes[0] if sizes else None, page_cache=cache)


def load_figure(cells: Cells) -> Figure | None:
    """Draw stacked bars, models from fast to slow, each panel on an axis of its own."""
    found = loads(cells)
    if not found:
        return None
    used = [part for part in PARTS if any(part in one.parts for one in found)]
    caches = sorted({one.page_cache for one in found})
    several = len(caches) > 1
    n = 1 if len(found) <= FEW else 3 * -(-len(found) // (3 * MOST_ROWS))
    parts = chunks([f"{index}" for index in range(len(found))], -(-len(found) // n))
    return Figure(
        name="loading",
        title="What loading consists of",
        caption="Median over the cells of a model, each loaded in a process of its own; the libraries were "
        f"imported once, before. Page cache: {', '.join(caches)}. Axes differ from panel to panel.",
        panels=tuple(_panel([found[int(i)] for i in part], several=several) for part in parts),
        keys=tuple(Key(kind="box", label=PARTS[part], colour=SHADES[part]) for part in used),
        table=_table(found),
        stacked=True,
    )


def _label(one: Loaded, *, several: bool) -> str:
    return f"{one.name} ({one.page_cache})" if several else one.name


def _panel(found: list[Loaded], *, several: bool) -> Panel:
    rows: list[Row] = []
    for one in found:
        done = 0.0
        told = [f"{PARTS[part]} {words.seconds(value)}" for part, value in one.parts.items()]
        about = "\n".join([f"{one.name}: {words.seconds(one.total)}", *told])
        for part, value in one.parts.items():
            rows.append(
                {"model": _label(one, several=several), "low": done, "x": done + value, "part": PARTS[part]}
                | {"about": about}
            )
            done += value
    high = max(one.total for one in found) * 1.04
    ticks = axes.even_ticks((0.0, high), 4)
    scale = alt.Scale(domain=[0, high], nice=False)
    x = alt.X("x:Q", scale=scale, axis=axes.axis("Time to load", ticks, _time, grid=True))
    order = [_label(one, several=several) for one in found]
    side = alt.Axis(
        title=None, labelLimit=150, labelFontSize=10.5, labelOverlap=False, domain=False, ticks=False
    )
    side["grid"] = False
    y = alt.Y("model:N", sort=None, scale=alt.Scale(domain=order, padding=0.2), axis=side)
    shades = alt.Scale(domain=list(PARTS.values()), range=[shade.light for shade in SHADES.values()])
    bars = alt.Chart(marks.data(rows)).mark_bar()
    layer = bars.encode(
        x=axes.other(x, "low"),
        x2=alt.X2("x"),
        y=y,
        color=alt.Color("part:N", scale=shades, legend=None),
        tooltip=alt.Tooltip("about:N"),
    )
    title = f"{words.seconds(found[0].total)} to {words.seconds(found[-1].total)}"
    return Panel(
        title=title,
        chart=marks.layered([layer], 16 * len(found)),
        label=f"Parts of the time to load of {len(found)} models, {title}.",
    )


def _time(value: float) -> str:
    return words.tick_seconds(value) if value else "0"


def _table(found: list[Loaded]) -> Table:
    used = [part for part in PARTS if any(part in one.parts for one in found)]
    rows = [
        (
            one.name,
            words.seconds(one.total),
            *(words.seconds(one.parts.get(part)) for part in used),
            words.amount(one.weight_bytes),
            one.page_cache,
        )
        for one in found
    ]
    return Table(
        name="loading-table",
        title="What loading consists of",
        columns=("Model", "In all", *(PARTS[part].capitalize() for part in used), "Weights", "Page cache"),
        rows=tuple(rows),
    )
