"""Every model at every length: a coloured map of how each cell ended, and the causes in its table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from scalescope.points.bench import STATES, Cell, State
from scalescope.reports.bench import words
from scalescope.reports.bench.view import View, by_category, by_size, chunks, short_names
from scalescope.reports.figures import marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_count

MOST_ROWS = 26
ROW_HEIGHT = 17
_SHADES = (0.3, 0.5, 0.75, 1.0)

FILLS: dict[State, theme.Colour] = dict.fromkeys(STATES, theme.PLAN) | {
    "ok": theme.HOFFMANN,
    "not_applicable": theme.GRID,
    "skipped": theme.MUTED,
    "allocator_oom": theme.HELD_OUT,
    "killed": theme.HELD_OUT,
    "timeout": theme.KAPLAN,
}


def heat_figure(all_views: tuple[View, ...]) -> Figure | None:
    """Draw a map a category, models from small to large, and tell every cause in the table."""
    cells = [cell for view in all_views for cell in view.cells]
    if not cells:
        return None
    shades = _shades(cells)
    several = len(all_views) > 1
    panels = [panel for view in all_views for panel in _panels(view, shades, several=several)]
    return Figure(
        name="cells",
        title="Every model at every length",
        caption="A blue cell ran: the number is tokens per second, the stronger its colour, the faster. "
        "The others say in a word how they ended; the cause is beside the pointer and in the table. Models "
        "stand from small to large in their category."
        + (" ! marks figures that look impossible." if any(c.doubts for c in cells) else ""),
        panels=tuple(panels),
        keys=_keys(cells, shades),
        table=_table(all_views),
        stacked=True,
    )


def _shades(cells: Sequence[Cell]) -> dict[int, float]:
    """Decade of tokens per second to opacity; the slowest of more than four decades are one."""
    found = sorted({_decade(cell) for cell in cells if cell.ok and cell.tokens_per_s})
    kept = found[-len(_SHADES) :]
    return dict(zip(kept, _SHADES[-len(kept) :], strict=True)) if kept else {}


def _decade(cell: Cell) -> int:
    return math.floor(math.log10(cell.tokens_per_s or 1.0))


def _shade(cell: Cell, shades: dict[int, float]) -> float:
    if not cell.ok:
        return 0.45 if cell.state == "skipped" else 1.0
    if cell.tokens_per_s is None or not shades:
        return 1.0
    return shades.get(_decade(cell), min(shades.values()))


def _panels(view: View, shades: dict[int, float], *, several: bool) -> list[Panel]:
    names = short_names(view.cells)
    panels = []
    for category, cells in by_category(view.cells).items():
        parts = chunks(by_size(cells, cells.models), MOST_ROWS)
        for index, models in enumerate(parts, start=1):
            title = category + (f", {index} of {len(parts)}" if len(parts) > 1 else "")
            title += f", {view.label}" if several else ""
            kept = [cell for cell in cells if cell.model in set(models)]
            rows = [_row(cell, names[cell.model], shades) for cell in kept]
            panels.append(
                Panel(
                    title=title,
                    chart=_chart(rows, [names[model] for model in models], view.lengths),
                    label=f"How {len(models)} models ended at each length, {title}.",
                )
            )
    return panels


def _row(cell: Cell, name: str, shades: dict[int, float]) -> Row:
    shade = _shade(cell, shades)
    text = words.SHORT[cell.state]
    if cell.ok and cell.tokens_per_s is not None:
        text = format_count(cell.tokens_per_s, 2) + ("!" if cell.doubts else "")
    on_dark = cell.state != "not_applicable" and shade > 0.6
    return {
        "x": f"{cell.workload.length}",
        "model": name,
        "state": cell.state,
        "shade": shade,
        "text": text,
        "ink": "paper" if on_dark else "ink",
        "about": words.about(cell, name),
    }


def _chart(rows: list[Row], models: list[str], lengths: Sequence[int]) -> alt.LayerChart:
    x = alt.X(
        "x:N",
        sort=None,
        scale=alt.Scale(domain=[f"{length}" for length in lengths], padding=0.04),
        axis=alt.Axis(
            title="Length, tokens",
            labelFontSize=9.5,
            labelOverlap=len(lengths) > 6,
            orient="top",
            labelAngle=0,
            domain=False,
            ticks=False,
            grid=False,
        ),
    )
    y = alt.Y(
        "model:N",
        sort=None,
        scale=alt.Scale(domain=models, padding=0.06),
        axis=alt.Axis(
            title=None,
            labelLimit=150,
            labelFontSize=10.5,
            labelOverlap=False,
            domain=False,
            ticks=False,
            grid=False,
        ),
    )
    states = [state for state in FILLS if any(row["state"] == state for row in rows)]
    fills = alt.Scale(domain=states, range=[FILLS[state].light for state in states])
    inks = alt.Scale(domain=["ink", "paper"], range=[theme.INK.light, theme.PAPER.light])
    base = alt.Chart(marks.data(rows))
    boxes = base.mark_rect(cornerRadius=2).encode(
        x=x,
        y=y,
        color=alt.Color("state:N", scale=fills, legend=None),
        opacity=alt.Opacity("shade:Q", scale=None, legend=None),
        tooltip=alt.Tooltip("about:N"),
    )
    texts = base.mark_text(fontSize=10, baseline="middle").encode(
        x=x,
        y=y,
        text=alt.Text("text:N"),
        color=alt.Color("ink:N", scale=inks, legend=None),
        tooltip=alt.Tooltip("about:N"),
    )
    chart = marks.layered([boxes, texts], ROW_HEIGHT * len(models))
    both: alt.LayerChart = chart.resolve_scale(color="independent")
    return both


def _keys(cells: Sequence[Cell], shades: dict[int, float]) -> tuple[Key, ...]:
    keys = [
        Key(
            kind="box",
            label=_decade_label(decade, first=decade == min(shades)),
            colour=theme.HOFFMANN,
            opacity=shade,
        )
        for decade, shade in shades.items()
    ]
    present = {cell.state for cell in cells}
    for state in STATES:
        if state != "ok" and state in present:
            opacity = 0.45 if state == "skipped" else 1.0
            label = f"{words.SHORT[state]}: {STATES[state]}"
            keys.append(Key(kind="box", label=label, colour=FILLS[state], opacity=opacity))
    return tuple(keys)


def _decade_label(decade: int, *, first: bool) -> str:
    if first:
        return f"ran, below {format_count(10.0 ** (decade + 1))} tok/s"
    return f"{format_count(10.0**decade)} to {format_count(10.0 ** (decade + 1))} tok/s"


def _table(all_views: tuple[View, ...]) -> Table:
    lengths = sorted({length for view in all_views for length in view.lengths})
    rows = []
    for view in all_views:
        names = short_names(view.cells)
        found = view.by_model()
        for cells in by_category(view.cells).values():
            for model in by_size(cells, cells.models):
                told = f"{names[model]}, {view.label}" if len(all_views) > 1 else names[model]
                params = next((cell.params for cell in found[model].values() if cell.params), None)
                size = format_count(params) if params else words.NOTHING
                shown = [_cell(found[model].get(length)) for length in lengths]
                rows.append((told, size, *shown))
    return Table(
        name="cells-table",
        title="Every model at every length",
        columns=("Model", "Parameters", *(f"{length}" for length in lengths)),
        rows=tuple(rows),
        note="Tokens per second of the cells that ran, else how the cell ended and why. "
        "A star: measured on another model of the same architecture.",
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return words.NOTHING
    if not cell.ok:
        return words.cause(cell)
    doubt = f"; doubtful: {'; '.join(cell.doubts)}" if cell.doubts else ""
    return words.rate(cell.tokens_per_s) + ("*" if cell.shared_from else "") + doubt
