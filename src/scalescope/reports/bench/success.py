"""Share of models that run against length, by category; what a configuration excludes is no failure."""

from __future__ import annotations

from collections import Counter

import altair as alt

from scalescope.points.bench import Cells
from scalescope.reports.bench.view import OUTCOMES, View, by_category, outcome
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_percent

COLOURS = dict(zip(OUTCOMES, (theme.HOFFMANN, theme.HELD_OUT, theme.KAPLAN, theme.GRID), strict=True))
ALL = "all models"
_ROOM = 0.18
"""Share above which its number stands inside the bar."""


def counts(cells: Cells) -> dict[int, Counter[str]]:
    """Length to how many models had each outcome there."""
    found: dict[int, Counter[str]] = {length: Counter() for length in cells.lengths}
    for cell in cells:
        found[cell.workload.length][outcome(cell.state)] += 1
    return found


def success_figure(all_views: tuple[View, ...]) -> Figure | None:
    """Draw stacked shares: ran, failed, predicted not to fit, not applicable by configuration."""
    if not all_views or not all_views[0].models:
        return None
    groups: dict[str, Cells] = {}
    for view in all_views:
        told = f", {view.label}" if len(all_views) > 1 else ""
        parts = by_category(view.cells)
        groups |= {f"{ALL}{told}": view.cells.distinct()}
        groups |= (
            {f"{name}{told}": cells.distinct() for name, cells in parts.items()} if len(parts) > 1 else {}
        )
    return Figure(
        name="success",
        title="Which share of the models runs at each length",
        caption="Of the models that have a cell at a length: those that ran, those that were tried and "
        "failed, those that were not tried because the prediction says that memory or time does not suffice, "
        "and those whose configuration ends before. Only the second is a failure of this machine or its "
        "libraries. In each panel, models of the same architecture count once.",
        panels=tuple(_panel(name, cells) for name, cells in groups.items()),
        keys=tuple(Key(kind="box", label=name, colour=colour) for name, colour in COLOURS.items()),
        table=_table(groups),
    )


def _panel(name: str, cells: Cells) -> Panel:
    rows: list[Row] = []
    tops: list[Row] = []
    for length, counted in counts(cells).items():
        done = 0
        total = counted.total()
        for part in OUTCOMES:
            n = counted[part]
            if n:
                about = f"{n} of {total} at {length}: {part}"
                rows.append(
                    {
                        "x": f"{length}",
                        "low": done / total,
                        "y": (done + n) / total,
                        "part": part,
                        "about": about,
                    }
                )
            done += n
        share = counted[OUTCOMES[0]] / total
        inside = share > _ROOM
        tops.append(
            {
                "x": f"{length}",
                "y": 0.0 if inside else share,
                "text": format_percent(share) if share else "0",
                "ink": "paper" if inside else "ink",
            }
        )
    order = [f"{length}" for length in cells.lengths]
    x = alt.X(
        "x:N", sort=None, scale=alt.Scale(domain=order, paddingInner=0.12, paddingOuter=0.1), axis=_lengths()
    )
    scale = alt.Scale(domain=[0, 1.02], nice=False)
    y = alt.Y("y:Q", scale=scale, axis=axes.axis("Share of models", [0, 0.5, 1], format_percent, grid=True))
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=list(COLOURS), range=[c.light for c in COLOURS.values()]),
        legend=None,
    )
    bars = alt.Chart(marks.data(rows)).mark_bar(opacity=0.92)
    words = alt.Chart(marks.data(tops)).mark_text(dy=-8, fontSize=10.5)
    inks = alt.Scale(domain=["ink", "paper"], range=[theme.INK.light, theme.PAPER.light])
    layers = [
        bars.encode(
            x=x, y=axes.other(y, "low"), y2=alt.Y2("y"), color=colour, tooltip=alt.Tooltip("about:N")
        ),
        words.encode(x=x, y=y, text=alt.Text("text:N"), color=alt.Color("ink:N", scale=inks, legend=None)),
    ]
    n = len(cells.models)
    title = f"{name} ({n})"
    return Panel(
        title=title,
        chart=marks.layered(layers, 150).resolve_scale(color="independent"),
        label=f"Share of {n} models that run at each length, {name}.",
    )


def _lengths() -> alt.Axis:
    return alt.Axis(title="Length, tokens", labelAngle=0, grid=False)


def _table(groups: dict[str, Cells]) -> Table:
    lengths = sorted({length for cells in groups.values() for length in cells.lengths})
    rows = []
    for name, cells in groups.items():
        found = counts(cells)
        told = [_told(found[length]) if length in found else "–" for length in lengths]
        rows.append((name, f"{len(cells.models)}", *told))
    return Table(
        name="success-table",
        title="Models that run at each length",
        columns=("Category", "Models", *(f"at {length}" for length in lengths)),
        rows=tuple(rows),
        note="Ran of all; in brackets the share of those that their configuration allows.",
    )


def _told(counted: Counter[str]) -> str:
    ran, failed, skipped, barred = (counted[part] for part in OUTCOMES)
    total = counted.total()
    allowed = total - barred
    text = f"{ran} of {total} ran" + (f" ({format_percent(ran / allowed)})" if allowed else "")
    rest = [(failed, "failed"), (skipped, "predicted not to fit"), (barred, "n/a")]
    return "; ".join([text, *(f"{n} {word}" for n, word in rest if n)])
