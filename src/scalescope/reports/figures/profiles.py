"""Profiles: how much worse the fit gets when one coefficient is held elsewhere and the others make up for it.

A flat profile is a coefficient that the runs do not settle; its interval has no end on that side.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.clusters import cluster_labels
from scalescope.fitting.frontier import used_by
from scalescope.fitting.inputs import target_of
from scalescope.fitting.objective import Objective
from scalescope.fitting.profile import Profile, profile
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array, Runs
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity, plain_number
from scalescope.reports.figures.slices import usable
from scalescope.reports.tables import Table
from scalescope.reports.text import number, three_digits
from scalescope.units import format_percent

MOST = 8
"""Profiles drawn."""
HEIGHT = 3.0
"""How many thresholds high the axis is; what lies above says no more."""
OUTSIDE = 0.6
"""How far the axis goes beyond the interval, as a share of its width on the axis's scale."""
WIDE = 4.0
"""Highest over lowest value from which the axis is logarithmic."""


def profiles_of(fit: Fit, runs: Runs) -> list[Profile]:
    """Profile the coefficients of a parametric fit that are free, `MOST` at most.

    Raises
    ------
    InputError
        If the fit is no minimum of one objective.
    """
    if fit.method != "parametric":
        raise InputError(
            f"{fit.law} is fitted budget by budget and has no profile", hint="Fit a law such as chinchilla."
        )
    form = get_law(fit.law)
    used = usable(form, runs.select(used_by(runs, form.name)))
    objective, target = Objective.of(form, used, fit.criterion, fit.restraints), target_of(form, used)
    held = {*fit.restraints.fixed, *(name for group in fit.restraints.tied for name in group[1:])}
    names = [name for name in form.coefficients if name not in held][:MOST]
    labels = cluster_labels(used)
    return [profile(objective, target, fit.theta, name, level=fit.level, labels=labels) for name in names]


def profile_figure(profiles: Profile | Sequence[Profile]) -> Figure:
    """Likelihood ratio against each quantity, a panel each, with its interval and its threshold."""
    every = [profiles] if isinstance(profiles, Profile) else list(profiles)[:MOST]
    flat = [one.name for one in every if any(one.open_ends)]
    said = f" {', '.join(flat)}: flat, so an end of the interval is open." if flat else ""
    return Figure(
        name="profiles",
        title="Profiles of the coefficients",
        caption="How much worse the fit gets when a coefficient is held at another value and the others make "
        f"up for it. Below the line is the {format_percent(every[0].level)} interval.{said}",
        panels=tuple(_panel(one) for one in every),
        keys=(
            Key(kind="line", label="likelihood ratio, the others free", colour=theme.INK),
            Key(kind="band", label="interval", colour=theme.HOFFMANN),
            Key(kind="dotted", label="threshold of the interval", colour=theme.MUTED, dash=(4, 3)),
            Key(kind="minimum", label="optimum", colour=theme.INK),
        ),
        table=_table(every),
    )


def _axis(one: Profile) -> tuple[Quantity, axes.Domain]:
    """The part of the profile that matters: the interval and some way beyond, or all of an open side."""
    low, high = one.estimate.low, one.estimate.high
    inside = one.values[one.ratio <= one.threshold]
    low = float(inside.min()) if one.open_ends[0] or not np.isfinite(low) else low
    high = float(inside.max()) if one.open_ends[1] or not np.isfinite(high) else high
    log = low > 0 and high > WIDE * low
    quantity = Quantity(title=one.name, show=plain_number, logarithmic=log)
    ends = np.log([low, high]) if log else np.array([low, high])
    spare = OUTSIDE * max(float(ends[1] - ends[0]), 1e-9)
    limits = np.array([one.values.min(), one.values.max()])
    if log:
        limits = np.log(np.maximum(limits, 1e-300))
    first = max(ends[0] - spare, limits[0]) if not one.open_ends[0] else limits[0]
    last = min(ends[1] + spare, limits[1]) if not one.open_ends[1] else limits[1]
    domain = (float(np.exp(first)), float(np.exp(last))) if log else (float(first), float(last))
    return quantity, domain


def _panel(one: Profile) -> Panel:
    quantity, domain = _axis(one)
    top = HEIGHT * one.threshold
    x = quantity.x("x", domain)
    scale = alt.Scale(domain=[0, top], nice=False)
    ticks = axes.even_ticks((0, top), 6)
    y = alt.Y("y:Q", scale=scale, axis=axes.axis("Likelihood ratio", ticks, plain_number, grid=True))
    line = alt.Chart(marks.data(_rows(one))).mark_line(color=theme.INK.light, strokeWidth=1.8, clip=True)
    dots = alt.Chart(marks.data(_rows(one))).mark_point(
        filled=True, size=14, color=theme.INK.light, opacity=0.8, clip=True
    )
    level = alt.Chart(marks.data([{"x": end, "y": one.threshold} for end in domain])).mark_line(
        color=theme.MUTED.light, strokeWidth=1.2, strokeDash=[4, 3], clip=True
    )
    best: Row = {"x": one.estimate.value, "y": 0.0, "about": _told(one)}
    cross = alt.Chart(marks.data([best])).mark_point(
        filled=True, shape="cross", size=80, color=theme.INK.light, opacity=1
    )
    layers = [
        _ground(one, domain, top, x, y),
        level.encode(x=x, y=y),
        line.encode(x=x, y=y, order=alt.Order("x:Q")),
        dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")),
        cross.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")),
    ]
    return Panel(
        title=f"{one.name} = {_told(one)}",
        chart=marks.layered(layers, 200),
        label=f"Likelihood ratio against {one.name}, interval {_told(one)}.",
    )


def _rows(one: Profile) -> list[Row]:
    return [
        {"x": float(x), "y": float(ratio), "about": f"{one.name} {three_digits(float(x))}"}
        for x, ratio in zip(one.values, one.ratio, strict=True)
        if np.isfinite(ratio)
    ]


def _ground(one: Profile, domain: axes.Domain, top: float, x: alt.X, y: alt.Y) -> alt.Chart:
    """The interval; an open end reaches the edge of the axis."""
    low = max(one.estimate.low, domain[0]) if not one.open_ends[0] else domain[0]
    high = min(one.estimate.high, domain[1]) if not one.open_ends[1] else domain[1]
    span: Row = {"x": low, "end": high, "y": 0.0, "top": top}
    chart: alt.Chart = alt.Chart(marks.data([span])).mark_rect(
        color=theme.HOFFMANN.light, opacity=0.14, clip=True
    )
    return chart.encode(x=x, x2=alt.X2("end"), y=y, y2=alt.Y2("top"))


def _told(one: Profile) -> str:
    low = "open" if one.open_ends[0] else number(one.estimate.low, three_digits)
    high = "open" if one.open_ends[1] else number(one.estimate.high, three_digits)
    return f"{three_digits(one.estimate.value)} [{low}, {high}]"


def _table(every: list[Profile]) -> Table:
    rows = []
    for one in every:
        depth: Array = np.where(np.isfinite(one.ratio), one.ratio, np.inf)
        rows.append(
            (
                one.name,
                _told(one),
                "yes" if any(one.open_ends) else "no",
                number(float(one.values.min()), three_digits),
                number(float(depth[0]), three_digits),
                number(float(one.values.max()), three_digits),
                number(float(depth[-1]), three_digits),
            )
        )
    columns = (
        *("Coefficient", "Value", "Open end"),
        *("Lowest tried", "Ratio there", "Highest tried", "Ratio there"),
    )
    return Table(
        name="profiles-table",
        title="Profile intervals",
        columns=columns,
        rows=tuple(rows),
        note=f"An interval ends where the ratio passes {three_digits(every[0].threshold)}.",
    )
