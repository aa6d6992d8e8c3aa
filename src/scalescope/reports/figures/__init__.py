"""Figures: each a pure function from contents to a drawing, a legend, a caption and a table twin."""

from __future__ import annotations

from collections.abc import Callable

from scalescope.reports.contents import Contents
from scalescope.reports.figures.approaches import approaches_beside
from scalescope.reports.figures.base import Figure, Key, Panel
from scalescope.reports.figures.corner import resample_corner
from scalescope.reports.figures.forecasts import forecast_check
from scalescope.reports.figures.holdouts import errors_beyond
from scalescope.reports.figures.learning import learning_curves
from scalescope.reports.figures.optima import resampled_optima
from scalescope.reports.figures.optimum import optimal_allocation
from scalescope.reports.figures.overview import measured_runs
from scalescope.reports.figures.parabolas import isoflop_parabolas
from scalescope.reports.figures.residuals import fit_residuals
from scalescope.reports.figures.scaling import loss_scaling

FIGURES: dict[str, Callable[[Contents], Figure | None]] = {
    "runs": measured_runs,
    "forecasts": forecast_check,
    "learning": learning_curves,
    "isoflop": isoflop_parabolas,
    "scaling": loss_scaling,
    "optimum": optimal_allocation,
    "optima": resampled_optima,
    "approaches": approaches_beside,
    "comparison": errors_beyond,
    "residuals": fit_residuals,
    "corner": resample_corner,
}
"""In the order of the report; None where the contents do not have what the figure shows."""

__all__ = ["FIGURES", "Figure", "Key", "Panel"]
