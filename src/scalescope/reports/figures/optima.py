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
from scalescope.reports.text import law_name, reach_text, shown, two_digits
from scalescope.units import format_count, format_flop

RATIOS = (0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Tokens per parameter that may get a line."""
MOST_RATIOS = 4
MOST_POINTS = 150
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
    """Draw N* and D* of every resample at each compute, with lines of equal compute and of equal ratio.

    Raises
    ------
    InputError
        If the law has no best size.
    """
    if not predictions.has_frontier(fit):
        raise InputError(f"{fit.law} has no best size", hint="Fit a surface such as chinchilla.")
    at = sorted(set(computes) or {fit.ranges["C"][1] * multiple for multiple in MULTIPLES})
    budgets = [_Budget(fit, compute) for compute in at]
    colours = dict(zip([each.name for each in budgets], theme.ordered(len(budgets)), strict=True))
    chart = _chart(fit, budgets, colours)
    keys = [
        Key(kind="cloud", label=f"a resample at {name}", colour=colour) for name, colour in colours.items()
    ]
    return Figure(
        name="optima",
        title="Best size and tokens in every resample",
        caption=f"{law_name(fit.law)}. All optima of one compute lie on its line; a long cloud leaves the "
        "choice between a larger model and more tokens open. The thick bar is the interval.",
        panels=(Panel(title="", chart=chart, label=_label(budgets)),),
        keys=(
            *keys,
            Key(kind="minimum", label="optimum, with its interval", colour=theme.INK),
            *(_path_keys(fit, budgets)),
            Key(kind="dotted", label="equal tokens per parameter", colour=theme.MUTED, dash=(1, 3)),
            Key(kind="thin", label="equal compute", colour=theme.MUTED),
        ),
        table=_table(budgets, fit),
    )


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


def _chart(fit: Fit, budgets: list[_Budget], colours: dict[str, theme.Colour]) -> alt.LayerChart:
    cloud = [row for each in budgets for row in _cloud(each)]
    path = _path(fit, budgets)
    sizes = [*(row["x"] for row in (*cloud, *path)), *(each.size.low for each in budgets)]
    tokens = [*(row["y"] for row in (*cloud, *path)), *(each.tokens.high for each in budgets)]
    wide, tall = axes.padded(sizes, 0.08), axes.padded(tokens, 0.08)
    x = axes.log_x("x", f"Best {axes.size_title(fit.count).replace('P', 'p', 1)}", wide)
    y = axes.log_y("y", "Best tokens D", tall)
    y["axis"]["grid"] = False
    layers = [*_ratios(wide, tall, x, y), *_equal_compute(budgets, wide, x, y)]
    layers += marks.curve(path, x, y)
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    legend = alt.Legend(title="Compute")
    dots = alt.Chart(marks.data(cloud)).mark_point(filled=True, size=34, opacity=0.28, clip=True)
    layers.append(dots.encode(x=x, y=y, color=alt.Color("budget:N", scale=scale, legend=legend)))
    layers += _optima(budgets, x, y)
    return marks.layered(layers, 400)


def _cloud(budget: _Budget) -> list[Row]:
    """Resamples inside the middle 98%, thinned evenly: runaways would set the axes."""
    ordered = np.sort(budget.sizes)
    low, high = np.quantile(ordered, [0.01, 0.99])
    kept = ordered[(ordered >= low) & (ordered <= high)]
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_POINTS)).astype(int))]
    return [{"x": float(n), "y": budget.on_line(float(n)), "budget": budget.name} for n in kept]


def _path(fit: Fit, budgets: list[_Budget]) -> list[Row]:
    """The optimum of the law from the cheapest run to the dearest budget."""
    low, high = fit.ranges["C"]
    compute = predictions.reaching((low, high), low, max(high, budgets[-1].compute))
    compute = compute[compute >= min(budgets[0].compute, high) / 10]
    best = optimal_size(fit.law, fit.theta, compute)
    nothing = np.full(len(best), np.nan)
    edges = tuple(float(optimal_size(fit.law, fit.theta, np.array([edge]))[0]) for edge in (low, high))
    curve = (compute / FLOP_PER_PARAM_TOKEN / best, nothing, nothing)
    return predictions.rows(best, curve, (edges[0], edges[1] * (1 + 1e-9)))


def _path_keys(fit: Fit, budgets: list[_Budget]) -> list[Key]:
    keys = [Key(kind="line", label="optimum in the fitted range", colour=theme.INK)]
    if budgets[-1].compute > fit.ranges["C"][1]:
        keys.append(Key(kind="dotted", label="extrapolation", colour=theme.INK, dash=(5, 4)))
    return keys


def _equal_compute(budgets: list[_Budget], wide: axes.Domain, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    rows = [{"x": size, "y": each.on_line(size), "line": each.name} for each in budgets for size in wide]
    line = alt.Chart(marks.data(rows)).mark_line(color=theme.MUTED.light, strokeWidth=0.8, clip=True)
    return [line.encode(x=x, y=y, detail=alt.Detail("line:N"))] if rows else []


def _ratios(wide: axes.Domain, tall: axes.Domain, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Lines of equal tokens per parameter that cross the drawing, each with its ratio at the upper end."""
    lowest, highest = tall[0] / wide[1], tall[1] / wide[0]
    inside = [ratio for ratio in RATIOS if lowest * 1.5 < ratio < highest / 1.5]
    step = max(1, -(-len(inside) // MOST_RATIOS))
    rows, ends = [], []
    for ratio in inside[::step]:
        first, last = max(wide[0], tall[0] / ratio), min(wide[1], tall[1] / ratio)
        rows += [{"x": size, "y": ratio * size, "ratio": two_digits(ratio)} for size in (first, last)]
        ends.append({"x": last, "y": ratio * last, "text": f"D/N {two_digits(ratio)}"})
    if not rows:
        return []
    line = alt.Chart(marks.data(rows)).mark_line(
        color=theme.MUTED.light, strokeWidth=1, strokeDash=[1, 3], clip=True
    )
    words = alt.Chart(marks.data(ends)).mark_text(
        color=theme.MUTED.light, fontSize=10, align="right", baseline="top", dx=-4, dy=4
    )
    return [
        line.encode(x=x, y=y, detail=alt.Detail("ratio:N")),
        words.encode(x=x, y=y, text=alt.Text("text:N")),
    ]


def _optima(budgets: list[_Budget], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    bars = [
        {"x": size, "y": each.on_line(size), "line": each.name}
        for each in budgets
        if np.isfinite(each.size.low)
        for size in (each.size.low, each.size.high)
    ]
    rows: list[Row] = [
        {
            "x": each.best,
            "y": each.on_line(each.best),
            "about": f"{each.name}\nN* {shown(each.size, format_count)}\n"
            f"D* {shown(each.tokens, format_count)}\nD/N {shown(each.ratio, two_digits)}",
        }
        for each in budgets
    ]
    thick = alt.Chart(marks.data(bars)).mark_line(color=theme.INK.light, strokeWidth=2.2, clip=True)
    cross = alt.Chart(marks.data(rows)).mark_point(
        filled=True, shape="cross", size=90, color=theme.INK.light, opacity=1
    )
    drawn = [thick.encode(x=x, y=y, detail=alt.Detail("line:N"))] if bars else []
    return [*drawn, cross.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]


def _label(budgets: list[_Budget]) -> str:
    return f"Best size and tokens of every resample at {', '.join(each.name for each in budgets)}."


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
