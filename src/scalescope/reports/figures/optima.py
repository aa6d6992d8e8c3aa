"""The best size and tokens of every resample at a few computes: how sure the decision is.

All optima of one compute lie on its line N D = C / 6, so the cloud is a stretch of that line; how long it is
is how much the choice between a larger model and more tokens is open.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN, optimal_size
from scalescope.points import Array, Estimate
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import BARELY, law_name, reach_text, shown, two_digits
from scalescope.units import format_count, format_factor, format_flop

RATIOS = (*(digit * 10.0**power for power in range(-2, 5) for digit in (1, 2, 3, 5, 7)),)
"""Tokens per parameter that may get a line."""
MOST_RATIOS = 4
MOST_POINTS = 150
MOST_PANELS = 3
LEAST_SPAN = 3.0
"""Highest over lowest size of a panel, at least: so narrow clouds look narrow."""
_AROUND = 1e3
MULTIPLES = (1.0, 10.0, 100.0)
"""Computes drawn unless others are asked, as multiples of the dearest run's."""


def resampled_optima(contents: Contents) -> Figure | None:
    """Draw the optima of the headlined law at the dearest run's compute and at the budgets of the plan."""
    fit = contents.fits.get(contents.headline)
    if fit is None or not predictions.has_frontier(fit) or len(fit.resamples) < 2:
        return None
    plan = contents.plan.allocations if contents.plan is not None else ()
    dearest = fit.ranges["C"][1]
    return optima_figure(fit, [dearest, *(each.compute for each in plan if each.compute > dearest)])


def optima_figure(fit: Fit, computes: Sequence[float] = ()) -> Figure:
    """Draw N* and D* of every resample, a panel a compute, with lines of equal compute and of equal ratio.

    Raises
    ------
    InputError
        If the law has no best size.
    """
    if not predictions.has_frontier(fit):
        raise InputError(f"{fit.law} has no best size", hint="Fit a surface such as chinchilla.")
    at = sorted(set(computes) or {fit.ranges["C"][1] * multiple for multiple in MULTIPLES})
    budgets = [_Budget(fit, compute) for compute in at[:MOST_PANELS]]
    return Figure(
        name="optima",
        title="Best size and tokens in every resample",
        caption=f"{law_name(fit.law)}. All optima of one compute lie on its line; a long cloud leaves the "
        "choice between a larger model and more tokens open. The wide stroke is the interval.",
        panels=tuple(
            Panel(
                title=f"{each.name}, {_reach(fit, each.compute)}",
                chart=_chart(fit, each),
                label=f"Best size and tokens of every resample at {each.name}.",
            )
            for each in budgets
        ),
        keys=(
            Key(kind="cloud", label="a resample", colour=theme.HOFFMANN),
            Key(kind="minimum", label="optimum", colour=theme.INK),
            Key(kind="band", label="interval", colour=theme.INK),
            Key(kind="line", label="optimum against compute, fitted range", colour=theme.INK),
            Key(kind="dotted", label="extrapolation", colour=theme.INK, dash=(5, 4)),
            Key(kind="dotted", label="equal tokens per parameter", colour=theme.MUTED, dash=(1, 3)),
            Key(kind="thin", label="equal compute", colour=theme.MUTED),
        ),
        table=_table(budgets, fit),
    )


def _reach(fit: Fit, compute: float) -> str:
    reach = compute / fit.ranges["C"][1]
    return f"{format_factor(reach)} the dearest run" if reach > BARELY else "inside the data"


class _Budget:
    """Optima at one compute."""

    def __init__(self, fit: Fit, compute: float) -> None:
        self.compute, self.name = compute, format_flop(compute)
        self.best = float(optimal_size(fit.law, fit.theta, np.array([compute]))[0])
        sizes = optimal_size(fit.law, fit.resamples.T[:, :, None], np.array([compute])).ravel()
        self.sizes: Array = sizes[np.isfinite(sizes) & (sizes > 0)]
        self.size = Estimate.from_samples(self.best, self.sizes, fit.level)
        self.tokens = self._estimate(compute / FLOP_PER_PARAM_TOKEN / self.sizes, fit.level, -1)
        self.ratio = self._estimate(compute / FLOP_PER_PARAM_TOKEN / self.sizes**2, fit.level, -2)

    def _estimate(self, samples: Array, level: float, power: int) -> Estimate:
        best = self.compute / FLOP_PER_PARAM_TOKEN * self.best**power
        return Estimate.from_samples(best, samples, level)

    def on_line(self, size: float) -> float:
        """Tokens that the compute allows at a size."""
        return self.compute / FLOP_PER_PARAM_TOKEN / size


def _chart(fit: Fit, budget: _Budget) -> alt.LayerChart:
    cloud = _cloud(budget)
    sizes = [*(row["x"] for row in cloud), budget.best, budget.size.low, budget.size.high]
    wide = _room(sizes)
    tall = (budget.on_line(wide[1]), budget.on_line(wide[0]))
    x = axes.log_x("x", f"Best parameters N* ({axes.COUNT_WORDS.get(fit.count, fit.count)})", wide)
    y = axes.log_y("y", "Best tokens D*", tall)
    y["axis"]["grid"] = False
    layers = [*_ratios(wide, tall, x, y), _equal_compute(budget, wide, x, y), *_interval(budget, x, y)]
    layers += marks.curve(_path(fit, budget), x, y)
    if cloud:
        dots = alt.Chart(marks.data(cloud)).mark_point(filled=True, size=40, opacity=0.25, clip=True)
        layers.append(dots.encode(x=x, y=y, color=alt.value(theme.HOFFMANN.light)))
    return marks.layered([*layers, *_optimum(budget, x, y)], 300)


def _room(sizes: list[float]) -> axes.Domain:
    """Span of the cloud with room around it, at least a factor of `LEAST_SPAN`."""
    low, high = axes.padded(sizes, 0.25)
    more = max(1.0, (LEAST_SPAN / (high / low)) ** 0.5)
    return low / more, high * more


def _cloud(budget: _Budget) -> list[Row]:
    """Resamples inside the middle 98%, thinned evenly: runaways would set the axes."""
    ordered = np.sort(budget.sizes)
    low, high = np.quantile(ordered, [0.01, 0.99])
    kept = ordered[(ordered >= low) & (ordered <= high)]
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_POINTS)).astype(int))]
    return [{"x": float(n), "y": budget.on_line(float(n)), "budget": budget.name} for n in kept]


def _path(fit: Fit, budget: _Budget) -> list[Row]:
    """The optimum of the law against compute, around this one."""
    low, high = fit.ranges["C"]
    around = (budget.compute / _AROUND, budget.compute * _AROUND)
    ends = [edge for edge in (low, high) if around[0] < edge < around[1]]
    compute = np.unique(np.concatenate([predictions.grid(*around, 15), ends]))
    best = optimal_size(fit.law, fit.theta, compute)
    edges = tuple(float(optimal_size(fit.law, fit.theta, np.array([edge]))[0]) for edge in (low, high))
    nothing = np.full(len(best), np.nan)
    tokens = compute / FLOP_PER_PARAM_TOKEN / best
    return predictions.rows(best, (tokens, nothing, nothing), (edges[0], edges[1]))


def _equal_compute(budget: _Budget, wide: axes.Domain, x: alt.X, y: alt.Y) -> alt.Chart:
    rows = [{"x": size, "y": budget.on_line(size)} for size in wide]
    line: alt.Chart = alt.Chart(marks.data(rows)).mark_line(
        color=theme.MUTED.light, strokeWidth=0.8, clip=True
    )
    return line.encode(x=x, y=y)


def _ratios(wide: axes.Domain, tall: axes.Domain, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Lines of equal tokens per parameter that cross the drawing, each with its ratio at the upper end."""
    lowest, highest = tall[0] / wide[1], tall[1] / wide[0]
    inside = [ratio for ratio in RATIOS if lowest * 1.3 < ratio < highest / 1.3]
    step = max(1, -(-len(inside) // MOST_RATIOS))
    rows, ends = [], []
    for ratio in inside[::step]:
        first, last = max(wide[0], tall[0] / ratio), min(wide[1], tall[1] / ratio)
        rows += [{"x": size, "y": ratio * size, "ratio": two_digits(ratio)} for size in (first, last)]
        at = last * (wide[0] / wide[1]) ** 0.06
        ends.append({"x": at, "y": ratio * at, "text": f"D/N {two_digits(ratio)}"})
    if not rows:
        return []
    line = alt.Chart(marks.data(rows)).mark_line(
        color=theme.MUTED.light, strokeWidth=1, strokeDash=[1, 3], clip=True
    )
    words = alt.Chart(marks.data(ends)).mark_text(
        color=theme.MUTED.light, fontSize=10, align="right", baseline="bottom", dx=-2, dy=-2
    )
    return [
        line.encode(x=x, y=y, detail=alt.Detail("ratio:N")),
        words.encode(x=x, y=y, text=alt.Text("text:N")),
    ]


def _interval(budget: _Budget, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A wide stroke along the line of equal compute, behind the cloud."""
    ends = [end for end in (budget.size.low, budget.size.high) if np.isfinite(end)]
    if len(ends) < 2:
        return []
    rows = [{"x": end, "y": budget.on_line(end)} for end in ends]
    stroke = alt.Chart(marks.data(rows)).mark_line(
        color=theme.INK.light, strokeWidth=15, opacity=0.13, clip=True
    )
    return [stroke.encode(x=x, y=y)]


def _optimum(budget: _Budget, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    about = (
        f"{budget.name}\nN* {shown(budget.size, format_count)}\nD* {shown(budget.tokens, format_count)}\n"
        f"D/N {shown(budget.ratio, two_digits)}"
    )
    rows: list[Row] = [{"x": budget.best, "y": budget.on_line(budget.best), "about": about}]
    cross = alt.Chart(marks.data(rows)).mark_point(
        filled=True, shape="cross", size=100, color=theme.INK.light, opacity=1
    )
    return [cross.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]


def _table(budgets: list[_Budget], fit: Fit) -> Table:
    rows = tuple(
        (
            each.name,
            reach_text(each.compute / fit.ranges["C"][1]),
            shown(each.size, format_count),
            shown(each.tokens, format_count),
            shown(each.ratio, two_digits),
        )
        for each in budgets
    )
    columns = ("Compute C", "Beyond the runs", "N*", "D*", "Tokens per parameter")
    return Table(name="optima-table", title="Best size and tokens", columns=columns, rows=rows)
