"""Multiplier against compute, with its interval, the second estimate and the noise floor."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.multipliers import Lever, MultiplierPoint, Multipliers
from scalescope.fitting.multipliers.text import inverse, times, verdict_text
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import BEYOND, FITTED, Figure, Key, Panel, Row
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.levers.look import MOST_PANELS, bars, colours
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown
from scalescope.units import format_factor, format_flop, format_loss, format_percent

_HEIGHT = 260
_WIDEST = 50.0
"""Factor about 1 beyond which an interval is cut, so that it does not flatten the rest."""


def worth_figure(contents: LeverContents) -> Figure:
    """Draw a panel for every variant, on common axes."""
    made = contents.multipliers
    palette = colours(made)
    levers = made.levers[:MOST_PANELS]
    known = made.noise.known
    x_domain, y_domain = _domains(levers)
    panels = tuple(
        _panel(lever, palette[lever.name], x_domain, y_domain, alone=len(levers) == 1) for lever in levers
    )
    floor = "The grey band is the noise floor: one pair of cells differs by as much through seeds alone. "
    return Figure(
        name="worth",
        title="How many times the compute the baseline needs",
        caption=f"Compute {made.baseline} needs for the loss that the variant reaches, over what the variant "
        f"spends; above 1 is a gain. The line compares frontiers, with {format_percent(made.level)} "
        "intervals: "
        "solid where both were measured, dashed beyond, where the interval says only what follows if the "
        "law goes "
        "on. Squares compare equal settings. " + (floor if known else "The noise floor is unknown."),
        panels=panels,
        keys=_keys(known),
        table=_table(made),
    )


def _domains(levers: tuple[Lever, ...]) -> tuple[axes.Domain, axes.Domain]:
    points = [point for lever in levers for point in lever.points]
    ends = [end for p in points for end in (p.multiplier.low, p.multiplier.value, p.multiplier.high)]
    ends += [
        end for p in points for end in (p.matched.low, p.matched.high, p.floor, 1 / p.floor) if p.reach <= 1
    ]
    kept = [end for end in ends if np.isfinite(end) and 1 / _WIDEST <= end <= _WIDEST]
    return axes.padded([p.compute for p in points], 0.03), axes.padded([*kept, 0.95, 1.05], 0.05)


def _panel(
    lever: Lever,
    colour: theme.Colour,
    wide: axes.Domain,
    tall: axes.Domain,
    *,
    alone: bool,
) -> Panel:
    x = axes.log_x("x", f"{axes.COMPUTE_TITLE}, of the variant", wide, axes.bare_flop)
    y = axes.log_y("y", "Compute multiplier m", tall, times)
    layers = [*_floor(lever, x, y), _one(wide, x, y), *marks.curve(_rows(lever), x, y, colour)]
    layers += _places(lever, x, y, colour)
    layers += _pairs(lever, x, y)
    return Panel(
        title="" if alone else f"{lever.name}: {lever.verdict if lever.verdict != 'none' else 'no gain'}",
        chart=marks.layered(layers, _HEIGHT),
        label=f"Compute multiplier of {lever.name} against compute: "
        f"{times(lever.headline.multiplier.value)} at {format_flop(lever.headline.compute)}; "
        f"{verdict_text(lever)}.",
    )


def _rows(lever: Lever) -> list[Row]:
    """Points of the curve; the last measured one stands in both parts."""
    rows = []
    for part, points in ((FITTED, _measured(lever)), (BEYOND, (lever.headline, *lever.extrapolated))):
        for point in points:
            if np.isfinite(point.multiplier.value):
                row: Row = {"x": point.compute, "y": point.multiplier.value, "part": part, "piece": part}
                rows.append(row | bars(point.multiplier))
    return rows


def _measured(lever: Lever) -> list[MultiplierPoint]:
    return [point for point in lever.points if point.reach <= 1]


def _about(lever: Lever, point: MultiplierPoint) -> str:
    told = f"{lever.name}\nat {format_flop(point.compute)}\n{shown(point.multiplier, times)}"
    return told + (f"\n{format_factor(point.reach)} beyond the data" if point.reach > 1 else "")


def _places(lever: Lever, x: alt.X, y: alt.Y, colour: theme.Colour) -> list[alt.Chart]:
    """A dot to hover at every compute."""
    rows = [
        {"x": p.compute, "y": p.multiplier.value, "about": _about(lever, p)}
        for p in lever.points
        if np.isfinite(p.multiplier.value)
    ]
    dots = alt.Chart(marks.data(rows)).mark_point(
        filled=True, size=26, color=colour.light, opacity=1, clip=True
    )
    return [dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]


def _pairs(lever: Lever, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The second estimate: hollow squares, a little to the right of the dots."""
    rows: list[Row] = [
        {
            "x": point.compute * 1.12,
            "y": point.matched.value,
            "about": f"{lever.name}, equal settings\nat {format_flop(point.compute)}\n"
            f"{shown(point.matched, times)}",
            **bars(point.matched),
        }
        for point in _measured(lever)
        if np.isfinite(point.matched.value)
    ]
    if not rows:
        return []
    base = alt.Chart(marks.data(rows))
    rule = base.mark_rule(strokeWidth=1.2, color=theme.MUTED.light, clip=True)
    box = base.mark_point(
        shape="square",
        size=36,
        strokeWidth=1.6,
        stroke=theme.MUTED.light,
        fill=theme.PAPER.light,
        opacity=1,
        clip=True,
    )
    lines = [rule.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high"))] if "low" in rows[0] else []
    return [*lines, box.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]


def _floor(lever: Lever, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    rows: list[Row] = [
        {"x": p.compute, "low": 1 / p.floor, "y": p.floor} for p in _measured(lever) if np.isfinite(p.floor)
    ]
    if len(rows) < 2:
        return []
    area = alt.Chart(marks.data(rows)).mark_area(color=theme.MUTED.light, opacity=0.16, clip=True)
    return [area.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("y"))]


def _one(wide: axes.Domain, x: alt.X, y: alt.Y) -> alt.Chart:
    """The line of no difference."""
    rows: list[Row] = [{"x": end, "y": 1.0} for end in wide]
    line = alt.Chart(marks.data(rows)).mark_line(color=theme.MUTED.light, strokeWidth=1, clip=True)
    chart: alt.Chart = line.encode(x=x, y=y)
    return chart


def _keys(known: bool) -> tuple[Key, ...]:
    keys = [
        Key(kind="fitted", label="frontier against frontier, measured", colour=theme.HOFFMANN),
        Key(kind="extrapolation", label="extrapolated", colour=theme.HOFFMANN),
        Key(kind="plan", label="equal settings (squares in grey)", colour=theme.MUTED),
    ]
    if known:
        keys.append(
            Key(kind="box", label="noise floor of one pair of cells", colour=theme.MUTED, opacity=0.16)
        )
    return tuple(keys)


def _table(made: Multipliers) -> Table:
    rows = [
        (
            lever.name,
            format_flop(point.compute),
            "measured" if point.reach <= 1 else f"{format_factor(point.reach)} beyond",
            shown(point.multiplier, times),
            shown(inverse(point.multiplier), times),
            shown(point.matched, times),
            number(point.floor, times) if point.reach <= 1 else "–",
            number(point.loss, format_loss),
        )
        for lever in made.levers
        for point in lever.points
    ]
    return Table(
        name="worth-table",
        title="Multiplier at each compute",
        columns=(
            "Variant",
            "Compute",
            "Where",
            "Baseline needs",
            "Variant needs",
            "Equal settings",
            "Floor of a pair",
            "Loss on the frontier",
        ),
        rows=tuple(rows),
        note="Baseline needs: its compute for the same loss over that of the variant; variant needs: the "
        "inverse.",
    )
