"""A law of whole training curves over the curves that it was fitted to."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.inputs import target_of, variables_of
from scalescope.fitting.result import Fit
from scalescope.laws import Law, get_law
from scalescope.points import Array, Runs
from scalescope.reports.figures import marks, predictions, theme
from scalescope.reports.figures.base import FITTED, HELD, Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity, column_title, target_axis, variable_axis
from scalescope.reports.figures.slices import usable
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name, number
from scalescope.units import format_percent

MOST_CURVES = 8
MOST_POINTS = 40
"""Points drawn of one curve."""


def fit_histories(fit: Fit, runs: Runs | None) -> Figure:
    """Draw every curve's points with the law through them; those held out as the extrapolation they are.

    Raises
    ------
    InputError
        Without the curves: such a law is defined along them only.
    """
    law = get_law(fit.law)
    if runs is None:
        raise InputError(f"{law.name} is drawn along its curves", hint="Give them as runs=.")
    known = usable(law, runs)
    letter = {one.column: name for name, one in law.variables.items()}
    curves = np.unique(known["curve"])[:MOST_CURVES].tolist()
    colours = dict(zip(map(_name, curves), theme.ordered(len(curves)), strict=True))
    lines, points = _rows(fit, law, known, curves)
    across = variable_axis(law, letter["step"], fit.count)
    up = target_axis(law, [row["y"] for row in (*lines, *points)], logarithmic=fit.scale == "log")
    label = f"{column_title(law.target)} along {len(curves)} training curves, measured and by {law.name}."
    return Figure(
        name="law",
        title=law_name(fit.law),
        caption=f"{law.formula}. Dots are measured, lines are the law along each curve's own schedule.",
        panels=(Panel(title="", chart=_chart(lines, points, (across, up), colours), label=label),),
        keys=(
            *(Key(kind="point", label=name, colour=colour) for name, colour in colours.items()),
            Key(kind="line", label="law, fitted curves", colour=theme.INK),
            Key(kind="dotted", label="law, held-out curves: extrapolation", colour=theme.INK, dash=(5, 4)),
        ),
        table=_table(fit, law, known),
    )


def _name(curve: float) -> str:
    return f"curve {curve:.0f}"


def _rows(fit: Fit, law: Law, runs: Runs, curves: list[float]) -> tuple[list[Row], list[Row]]:
    y, told, step = target_of(law, runs), fit.value(**variables_of(law, runs)), runs["step"]
    lines: list[Row] = []
    points: list[Row] = []
    for curve in curves:
        own = np.flatnonzero((runs["curve"] == curve) & (step > 0))
        own = own[np.argsort(step[own], kind="stable")]
        for i in own[_thinned(step[own])].tolist():
            part = "extrapolation" if runs.held_out[i] else FITTED
            fixed: Row = {"x": float(step[i]), "curve": _name(curve)}
            lines.append(fixed | {"y": float(told[i]), "part": part})
            points.append(fixed | {"y": float(y[i]), "kind": HELD if runs.held_out[i] else "measured"})
    return lines, points


def _thinned(step: Array) -> list[int]:
    """Points even on the log axis that they are drawn on, the first and the last among them."""
    if len(step) <= MOST_POINTS:
        return list(range(len(step)))
    wanted = np.searchsorted(step, predictions.grid(float(step[0]), float(step[-1]), MOST_POINTS))
    return sorted({min(place, len(step) - 1) for place in wanted.tolist()})


def _chart(
    lines: list[Row],
    points: list[Row],
    axis: tuple[Quantity, Quantity],
    colours: dict[str, theme.Colour],
) -> alt.LayerChart:
    across, up = axis
    x = across.x("x", across.domain([row["x"] for row in lines], 0.02))
    y = up.y("y", up.domain([row["y"] for row in (*lines, *points)]))
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    colour = alt.Color("curve:N", scale=scale, legend=alt.Legend(title=None))
    dashes = alt.Scale(domain=[FITTED, "extrapolation"], range=[[1, 0], [5, 4]])
    line = alt.Chart(marks.data(lines)).mark_line(strokeWidth=1.6, clip=True)
    dots = alt.Chart(marks.data(points)).mark_point(filled=True, size=22, opacity=0.6, clip=True)
    dash = alt.StrokeDash("part:N", scale=dashes, legend=alt.Legend(title=None))
    return marks.layered(
        [
            dots.encode(x=x, y=y, color=colour, tooltip=alt.Tooltip("curve:N")),
            line.encode(x=x, y=y, color=colour, strokeDash=dash),
        ],
        360,
    )


def _table(fit: Fit, law: Law, runs: Runs) -> Table:
    y, told = target_of(law, runs), fit.value(**variables_of(law, runs))
    show = target_axis(law, y.tolist()).show
    rows = []
    for curve in np.unique(runs["curve"]).tolist():
        own = np.flatnonzero(runs["curve"] == curve)
        last = own[np.argmax(runs["step"][own])]
        off = float(told[last] / y[last] - 1)
        use = "held out" if runs.held_out[last] else "fitted"
        rows.append(
            (_name(curve), show(float(y[last])), show(float(told[last])), number(off, format_percent), use)
        )
    columns = ("Curve", "Last measured", "By the law", "Off by", "Use")
    return Table(name="law-table", title="The ends of the curves", columns=columns, rows=tuple(rows))
