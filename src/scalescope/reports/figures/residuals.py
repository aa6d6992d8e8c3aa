"""Residuals: where each law misses its runs, and the runs it has not seen."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import numpy as np

from scalescope.fitting.inputs import target_of, variables_of
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array, Runs
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import FITTED, Figure, Key, Panel
from scalescope.reports.figures.quantities import plain_number, target_axis
from scalescope.reports.figures.slices import usable
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name
from scalescope.units import format_percent

_CAPTION = (
    "Dots that drift away from zero at one end say that the law has the wrong shape there; dots that scatter "
    "evenly are noise."
)
_KEYS = (
    Key(kind="fitted", label="one residual standard deviation, over the fitted range", colour=theme.INK),
    Key(kind="extrapolation", label="extrapolation", colour=theme.INK),
)
WIDE = 4.0
"""Highest over lowest prediction beyond which the axis is logarithmic."""


def fit_residuals(contents: Contents) -> Figure | None:
    """Residuals of every law of two variables against predicted loss; None without such a law."""
    laws = {name: fit for name, fit in contents.fits.items() if predictions.has_frontier(fit)}
    if not laws:
        return None
    ranked = sorted(laws.items(), key=lambda item: item[0] != contents.headline)
    misses = {name: residuals(fit, contents.runs) for name, fit in ranked}
    widest = 1.1 * max(float(np.abs(miss).max()) for miss in misses.values())
    panels = tuple(_panel(fit, contents.runs, misses[name], widest) for name, fit in ranked)
    return Figure(
        name="residuals",
        title="Residuals",
        caption=f"Measured over predicted loss. {_CAPTION}",
        panels=panels,
        keys=(*marks.run_keys(contents.runs, marks.group_colours(contents.runs)), *_KEYS),
        table=_table(dict(ranked), contents.runs, misses),
    )


def residual_figure(fit: Fit, runs: Runs) -> Figure:
    """Residuals of one fit of any law, on its own scale, against what it predicts."""
    known = usable(get_law(fit.law), runs)
    miss = residuals(fit, known)
    widest = 1.1 * float(np.abs(miss).max())
    what = "Measured over predicted" if fit.scale == "log" else "Measured minus predicted"
    return Figure(
        name="residuals",
        title=f"Residuals of {law_name(fit.law)}",
        caption=f"{what}. {_CAPTION}",
        panels=(_panel(fit, known, miss, widest),),
        keys=(*marks.run_keys(known, marks.group_colours(known)), *_KEYS),
        table=_table({fit.law: fit}, known, {fit.law: miss}),
    )


def predicted(fit: Fit, runs: Runs) -> Array:
    """What a law says for every run, the held-out ones too."""
    return fit.value(**variables_of(get_law(fit.law), runs))


def residuals(fit: Fit, runs: Runs) -> Array:
    """Measured over predicted, less one, of every run; measured minus predicted where the scale is raw."""
    measured, told = target_of(get_law(fit.law), runs), predicted(fit, runs)
    return np.asarray(measured / told - 1 if fit.scale == "log" else measured - told)


def _panel(fit: Fit, runs: Runs, miss: Array, widest: float) -> Panel:
    law, told = get_law(fit.law), predicted(fit, runs)
    wide = bool((told > 0).all()) and float(told.max()) > WIDE * float(told.min())
    axis = target_axis(law, told.tolist(), logarithmic=wide)
    domain = axis.domain(told.tolist(), 0.05)
    x = replace(axis, title=f"Predicted {axis.title[0].lower()}{axis.title[1:]}").x("x", domain)
    y = _vertical(fit, widest)
    fitted = told[~runs.held_out]
    span = (float(fitted.min()), float(fitted.max()))
    at = steps_to(span, domain, logarithmic=axis.logarithmic)
    flat = np.zeros(len(at))
    rows = predictions.rows(at, (flat, flat - fit.residual_sd, flat + fit.residual_sd), span)
    points = marks.run_rows(runs, told, miss)
    layers = [*marks.curve(rows, x, y), *marks.measured(points, x, y, marks.group_colours(runs))]
    label = f"Residuals of {law_name(fit.law)} against predicted {law.target}."
    return Panel(title=law_name(fit.law), chart=marks.layered(layers, 240), label=label)


def _vertical(fit: Fit, widest: float) -> alt.Y:
    limits = (-widest, widest)
    ticks = axes.even_ticks(limits, 6)
    over = fit.scale == "log"
    title = f"Measured {'over' if over else 'minus'} predicted {get_law(fit.law).target}"
    show = signed if over else plain_number
    made = axes.axis(title, ticks, show, grid=True)
    return alt.Y("y:Q", scale=alt.Scale(domain=list(limits), nice=False), axis=made)


def steps_to(span: axes.Domain, domain: axes.Domain, *, logarithmic: bool) -> Array:
    """Points over the fitted span with its edges, and out to the ends of the axis."""
    if logarithmic:
        return predictions.reaching(span, domain[0], domain[1])
    return np.unique([domain[0], *np.linspace(*span, 5), domain[1]])


def signed(share: float) -> str:
    """Write a relative miss with its sign."""
    if abs(share) < 1e-9:
        return "0"
    return ("+" if share > 0 else "−") + format_percent(abs(share))


def _table(laws: dict[str, Fit], runs: Runs, misses: dict[str, Array]) -> Table:
    rows = []
    for name, fit in laws.items():
        for part, mask in ((FITTED, ~runs.held_out), ("held out", runs.held_out)):
            miss = misses[name][mask]
            if miss.size:
                show, size = (signed, format_percent) if fit.scale == "log" else (plain_number,) * 2
                rms = float(np.sqrt(np.mean(miss**2)))
                ends = (show(float(miss.min())), show(float(miss.max())))
                row = (law_name(name), part, str(miss.size), show(float(miss.mean())), size(rms))
                rows.append((*row, *ends))
    columns = ("Law", "Runs", "How many", "Mean", "Root mean square", "Lowest", "Highest")
    return Table(name="residuals-table", title="Residuals", columns=columns, rows=tuple(rows))
