"""Residuals: where each law misses its runs, and the runs it has not seen."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array, Runs
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import FITTED, Figure, Key, Panel
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name
from scalescope.units import format_percent


def fit_residuals(contents: Contents) -> Figure | None:
    """Residuals of every law of two variables against predicted loss; None without such a law."""
    laws = {name: fit for name, fit in contents.fits.items() if predictions.has_frontier(fit)}
    if not laws:
        return None
    ranked = sorted(laws.items(), key=lambda item: item[0] != contents.headline)
    misses = {name: residuals(fit, contents.runs) for name, fit in ranked}
    widest = 1.1 * max(float(np.abs(miss).max()) for miss in misses.values())
    panels = tuple(_panel(fit, contents.runs, misses[name], widest) for name, fit in ranked)
    band = Key(
        kind="fitted", label="one residual standard deviation, over the fitted range", colour=theme.INK
    )
    beyond = Key(kind="extrapolation", label="extrapolation", colour=theme.INK)
    return Figure(
        name="residuals",
        title="Residuals",
        caption="Measured over predicted loss. Dots that drift away from zero at one end say that the law "
        "has the wrong shape there; dots that scatter evenly are noise.",
        panels=panels,
        keys=(*marks.run_keys(contents.runs, marks.group_colours(contents.runs)), band, beyond),
        table=_table(dict(ranked), contents.runs, misses),
    )


def predicted(fit: Fit, runs: Runs) -> Array:
    """Loss that a law says for every run, the held-out ones too."""
    at = {"N": runs.size, "D": runs.tokens, "C": runs.compute}
    return fit.value(**{name: at[name] for name in get_law(fit.law).variables})


def residuals(fit: Fit, runs: Runs) -> Array:
    """Measured over predicted loss, less one, of every run."""
    return np.asarray(runs.loss / predicted(fit, runs) - 1)


def _panel(fit: Fit, runs: Runs, miss: Array, widest: float) -> Panel:
    told = predicted(fit, runs)
    domain = axes.padded_linear(told.tolist(), 0.05)
    x = axes.loss_x("x", domain, "Predicted loss, nats/token")
    limits = (-widest, widest)
    scale = alt.Scale(domain=list(limits), nice=False)
    ticks = axes.even_ticks(limits, 6)
    y = alt.Y("y:Q", scale=scale, axis=axes.axis("Measured over predicted loss", ticks, signed, grid=True))
    fitted = told[~runs.held_out]
    span = (float(fitted.min()), float(fitted.max()))
    at = predictions.reaching(span, domain[0], domain[1])
    flat = np.zeros(len(at))
    rows = predictions.rows(at, (flat, flat - fit.residual_sd, flat + fit.residual_sd), span)
    points = marks.run_rows(runs, told, miss)
    layers = [*marks.curve(rows, x, y), *marks.measured(points, x, y, marks.group_colours(runs))]
    label = f"Residuals of {law_name(fit.law)} against predicted loss."
    return Panel(title=law_name(fit.law), chart=marks.layered(layers, 240), label=label)


def signed(share: float) -> str:
    """Write a relative miss with its sign."""
    if abs(share) < 1e-9:
        return "0"
    return ("+" if share > 0 else "−") + format_percent(abs(share))


def _table(laws: dict[str, Fit], runs: Runs, misses: dict[str, Array]) -> Table:
    rows = []
    for name in laws:
        for part, mask in ((FITTED, ~runs.held_out), ("held out", runs.held_out)):
            miss = misses[name][mask]
            if miss.size:
                rms = float(np.sqrt(np.mean(miss**2)))
                ends = (signed(float(miss.min())), signed(float(miss.max())))
                row = (law_name(name), part, str(miss.size), signed(float(miss.mean())), format_percent(rms))
                rows.append((*row, *ends))
    columns = ("Law", "Runs", "How many", "Mean", "Root mean square", "Lowest", "Highest")
    return Table(name="residuals-table", title="Residuals", columns=columns, rows=tuple(rows))
