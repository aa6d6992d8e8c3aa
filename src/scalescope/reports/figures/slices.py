"""Any fitted law against each axis of its own, with interval and runs.

A surface of size and data is followed along its optimum; of any other law one variable moves at a time and
the others stay at the median of the runs. Runs are then brought to these medians along the law, each with its
own residual, since where they lie otherwise says nothing about the line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.inputs import target_of, variables_of
from scalescope.fitting.result import Fit
from scalescope.laws import Law, get_law
from scalescope.points import Array, Runs
from scalescope.reports.figures import marks, predictions
from scalescope.reports.figures.base import FITTED, Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import amount, column_title, target_axis, variable_axis
from scalescope.reports.sections import Section, medians, placed, possible, section, steps
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name, number

MOST_PANELS = 6
REACH = 10.0
"""How far beyond the largest value a line goes on, on a logarithmic axis."""
LIFT = 0.25
"""The same on a linear axis, as a share of the range."""
_TWIN_ROWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A fitted law along one variable."""

    section: Section
    curve: tuple[Array, Array, Array]
    """Value, low, high."""
    edges: tuple[float, float]
    """The fitted range on this axis."""


def fit_slices(fit: Fit, runs: Runs | None = None) -> Figure:
    """Draw a law that is no surface along each of its variables; a panel each, six at most."""
    law = get_law(fit.law)
    known = None if runs is None else usable(law, runs)
    slices = [slice_of(fit, known, letter) for letter in _drawn(fit)]
    moved = known is not None and len(law.variables) > 1
    colours = {} if known is None else marks.group_colours(known)
    keys = [] if known is None else marks.run_keys(known, colours)
    if moved:
        keys = [_moved(key) for key in keys]
    return Figure(
        name="law",
        title=law_name(fit.law),
        caption=f"{law.formula}. " + (_CAPTION if len(slices) > 1 else ""),
        panels=tuple(_panel(fit, law, one, known) for one in slices),
        keys=(*keys, *marks.law_keys()),
        table=_table(fit, law, slices),
    )


_CAPTION = (
    "One variable moves in each panel, the others stay at the median of the runs; every run is brought there "
    "along the law and keeps its residual."
)


def usable(law: Law, runs: Runs) -> Runs:
    """Rows that have all that the law reads and predicts."""
    every = [target_of(law, runs), *variables_of(law, runs).values()]
    whole = np.isfinite(np.array(every)).all(axis=0)
    return runs.select(np.asarray(whole))


def slice_of(fit: Fit, runs: Runs | None, letter: str) -> Slice:
    """Follow the law along one variable, beyond the fitted range on its upper side."""
    law = get_law(fit.law)
    one, edges = law.variables[letter], fit.ranges[letter]
    others = (
        {name: _centre(law, name, fit.ranges[name]) for name in law.variables}
        if runs is None
        else medians(law, variables_of(law, runs))
    )
    top = edges[1] * REACH if one.logarithmic else edges[1] + LIFT * (edges[1] - edges[0])
    if one.column.startswith("share_") or one.column == "mixture":
        top = min(top, 1.0)
    inside = steps(edges, predictions.N_POINTS, logarithmic=one.logarithmic)
    beyond = steps((edges[1], top), predictions.N_POINTS // 2, logarithmic=one.logarithmic)
    at = section(law, letter, np.concatenate([inside, beyond[1:]]), others)
    low, high = predictions.band(fit.samples(**at.at), fit.level)
    return Slice(section=at, curve=(fit.value(**at.at), low, high), edges=edges)


def moved_rows(fit: Fit, runs: Runs, letter: str) -> list[Row]:
    """Every run at its own value of one variable, brought to the others' medians along the law."""
    law = get_law(fit.law)
    at = variables_of(law, runs)
    there = placed(law, letter, at[letter], medians(law, at))
    y, told, brought = target_of(law, runs), fit.value(**at), fit.value(**there)
    y = brought * y / told if fit.scale == "log" else brought + y - told
    return marks.run_rows(runs, at[letter], y, np.isfinite(y) & (possible(law, there) > 0))


def _drawn(fit: Fit) -> list[str]:
    """Letters that vary in the runs."""
    law = get_law(fit.law)
    letters = [name for name in law.variables if fit.ranges[name][0] < fit.ranges[name][1]]
    return letters[:MOST_PANELS]


def _centre(law: Law, letter: str, span: tuple[float, float]) -> float:
    return float(steps(span, 3, logarithmic=law.variables[letter].logarithmic)[1])


def _moved(key: Key) -> Key:
    if key.kind not in ("point", "held-out"):
        return key
    return Key(kind=key.kind, label=f"{key.label}, others brought to their median", colour=key.colour)


def _panel(fit: Fit, law: Law, one: Slice, runs: Runs | None) -> Panel:
    letter = one.section.along
    points = [] if runs is None else moved_rows(fit, runs, letter)
    curve = predictions.rows(one.section.x, one.curve, one.edges)
    across = variable_axis(law, letter, fit.count)
    ends = [row[key] for row in (*curve, *points) for key in ("y", "low", "high") if key in row]
    up = target_axis(law, ends, logarithmic=fit.scale == "log")
    x = across.x("x", across.domain([row["x"] for row in (*curve, *points)], 0.03))
    y = up.y("y", up.domain(ends))
    layers = marks.curve(curve, x, y)
    layers += marks.measured(points, x, y, marks.group_colours(runs)) if runs is not None and points else []
    title = across.title.split(",")[0]
    label = f"{column_title(law.target)} against {title} by {law_name(fit.law)}, with its interval."
    return Panel(title=_held(law, one.section), chart=marks.layered(layers, 300), label=label)


def _held(law: Law, one: Section) -> str:
    """What the other variables are held at, for the title of a panel."""
    parts = [f"{name} = {amount(law.variables[name].column)(value)}" for name, value in one.held.items()]
    return "at " + ", ".join(parts) if parts else ""


def _table(fit: Fit, law: Law, slices: list[Slice]) -> Table:
    rows = []
    for one in slices:
        letter = one.section.along
        across = variable_axis(law, letter, fit.count)
        show = target_axis(law, one.curve[0].tolist()).show
        inside = one.section.x <= one.edges[1]
        for part, mask in ((FITTED, inside), ("extrapolation", ~inside)):
            chosen = np.flatnonzero(mask)
            for index in chosen[np.linspace(0, len(chosen) - 1, min(_TWIN_ROWS, len(chosen))).astype(int)]:
                value, low, high = (number(float(line[index]), show) for line in one.curve)
                where = f"{letter} = {across.show(float(one.section.x[index]))}"
                rows.append((where, _held(law, one.section), part, f"{value} [{low}, {high}]"))
    columns = ("At", "Others", "Part", column_title(law.target))
    return Table(name="law-table", title="The law at a few values", columns=columns, rows=tuple(rows))
