"""The loss against size, tokens and compute on logarithmic axes, with the law through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array, Runs
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions
from scalescope.reports.figures.base import FITTED, Figure, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name, number
from scalescope.units import format_count, format_flop, format_loss

WORDS = {"N": "parameters", "D": "tokens", "C": "compute"}
_TWIN_ROWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A law along one variable."""

    variable: str
    name: str
    x: Array
    curve: tuple[Array, Array, Array]
    edges: tuple[float, float]
    """The fitted range on this axis."""


def loss_scaling(contents: Contents) -> Figure | None:
    """Loss against N, D and C: single-factor laws where fitted, else the headlined law at its optimum."""
    headline = contents.fits.get(contents.headline)
    lines = [_line(contents, variable, headline) for variable in "NDC"]
    if not any(lines):
        return None
    plan_rows = _plan_rows(contents)
    panels = tuple(
        _panel(variable, line, contents.runs, plan_rows.get(variable, []))
        for variable, line in zip("NDC", lines, strict=True)
    )
    colours = marks.group_colours(contents.runs)
    keys = [*marks.run_keys(contents.runs, colours), *marks.law_keys()]
    return Figure(
        name="scaling",
        title="Loss against parameters, tokens and compute",
        caption="The law lies along the best runs of each value: the dots above it are held back by the "
        "other quantity, too few tokens for their size or too small a model for their tokens. A law of two "
        "variables is followed at its best size.",
        panels=panels,
        keys=(*keys, *([marks.plan_key()] if plan_rows else [])),
        table=_table([line for line in lines if line is not None]),
    )


def fit_scaling(fit: Fit, runs: Runs | None) -> Figure:
    """Draw a fitted surface along its optimum: loss against size, tokens and compute."""
    lines = [line_of(fit, variable, fit.ranges["C"][0], fit.ranges["C"][1] * 10) for variable in "NDC"]
    colours = {} if runs is None else marks.group_colours(runs)
    keys = marks.law_keys() if runs is None else [*marks.run_keys(runs, colours), *marks.law_keys()]
    return Figure(
        name="law",
        title=law_name(fit.law),
        caption=f"{get_law(fit.law).formula}. The law is followed at its best size; runs off it lie above.",
        panels=tuple(_panel(line.variable, line, runs, []) for line in lines),
        keys=tuple(keys),
        table=_table(lines),
    )


def line_of(fit: Fit, variable: str, low: float, high: float) -> Line:
    """Follow a law from `low` to `high`; a law of two variables follows its optimum."""
    if not predictions.has_frontier(fit):
        edges = fit.ranges[variable]
        x = predictions.reaching(edges, low, high)
        curve = predictions.single_factor(fit, variable, x)
        return Line(variable=variable, name=law_name(fit.law), x=x, curve=curve, edges=edges)
    edges = fit.ranges["C"]
    compute = predictions.reaching(edges, low, high)
    best = predictions.frontier(fit, compute)
    x = compute if variable == "C" else best[variable][0]
    at_edges = tuple(float(np.interp(edge, compute, x)) for edge in edges)
    return Line(
        variable=variable, name=law_name(fit.law), x=x, curve=best["L"], edges=(at_edges[0], at_edges[1])
    )


def _line(contents: Contents, variable: str, headline: Fit | None) -> Line | None:
    single = contents.fits.get({"N": "loss-size", "D": "loss-data", "C": "loss-compute"}[variable])
    tradeoff = headline if headline is not None and predictions.has_frontier(headline) else None
    # Along compute the headlined law is the one that the answer rests on.
    chosen = (tradeoff or single) if variable == "C" else (single or tradeoff)
    if chosen is None:
        return None
    along = "C" if predictions.has_frontier(chosen) else variable
    return line_of(chosen, variable, *_extent(contents, along, chosen))


def _extent(contents: Contents, variable: str, fit: Fit) -> tuple[float, float]:
    """From the smallest to beyond the held-out runs and the first budget of the plan."""
    low, high = fit.ranges[variable]
    column = _column(contents.runs, variable)
    far = [high, float(column.max())]
    if contents.plan is not None and contents.plan.allocations:
        first = contents.plan.allocations[0]
        far.append({"N": first.params.value, "D": first.tokens.value, "C": first.compute}[variable])
    return min(low, float(column.min())), max(far) * 1.3


def _column(runs: Runs, variable: str) -> Array:
    return {"N": runs.size, "D": runs.tokens, "C": runs.compute}[variable]


def _plan_rows(contents: Contents) -> dict[str, list[Row]]:
    """Where the first budget of the plan lies on each axis."""
    if contents.plan is None or not contents.plan.allocations:
        return {}
    first = contents.plan.allocations[0]
    loss = {"y": first.loss.value, "low": first.loss.low, "high": first.loss.high}
    about = f"plan for {format_flop(first.compute)}\nL {format_loss(first.loss.value)} nats/token"
    places = {"N": first.params.value, "D": first.tokens.value, "C": first.compute}
    return {key: [loss | {"x": value, "about": about}] for key, value in places.items()}


def _panel(variable: str, line: Line | None, runs: Runs | None, plan: list[Row]) -> Panel:
    points = [] if runs is None else marks.run_rows(runs, _column(runs, variable), runs.loss)
    curve = [] if line is None else predictions.rows(line.x, line.curve, line.edges)
    everything = [*points, *curve, *plan]
    count = "params" if runs is None else runs.count
    title = {"N": axes.size_title(count), "D": axes.TOKENS_TITLE, "C": axes.COMPUTE_TITLE}[variable]
    show = axes.bare_flop if variable == "C" else format_count
    x = axes.log_x("x", title, axes.padded([row["x"] for row in everything], 0.03), show)
    y = axes.loss_y(
        "y", axes.padded([row[key] for row in everything for key in ("y", "low", "high") if key in row], 0.04)
    )
    layers = marks.curve(curve, x, y) if curve else []
    layers += marks.measured(points, x, y, marks.group_colours(runs)) if runs is not None else []
    layers += marks.planned(plan, x, y) if plan else []
    name = "" if line is None else line.name
    label = f"Loss against {WORDS[variable]}, measured runs and {name or 'no law'}."
    return Panel(
        title=f"{WORDS[variable].capitalize()}: {name}", chart=marks.layered(layers, 320), label=label
    )


def _table(lines: list[Line]) -> Table:
    rows = []
    for line in lines:
        show = format_flop if line.variable == "C" else format_count
        inside = (line.x >= line.edges[0]) & (line.x <= line.edges[1])
        for part, mask in ((FITTED, inside), ("extrapolation", ~inside)):
            chosen = np.flatnonzero(mask)
            for index in chosen[np.linspace(0, len(chosen) - 1, min(_TWIN_ROWS, len(chosen))).astype(int)]:
                value, low, high = (float(column[index]) for column in line.curve)
                interval = (
                    f"{number(value, format_loss)} [{number(low, format_loss)}, {number(high, format_loss)}]"
                )
                rows.append((f"{line.variable} = {show(float(line.x[index]))}", line.name, part, interval))
    columns = ("At", "Law", "Part", "Loss L, nats/token")
    return Table(name="scaling-table", title="The laws at a few values", columns=columns, rows=tuple(rows))
