"""Laws along an axis: the curve, its band from the resamples, and where the fitted range ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.laws.optimum import optimal_size
from scalescope.points import Array
from scalescope.reports.figures.base import BEYOND, FITTED, Row

N_POINTS = 28
"""Points of a curve in the fitted range; straight or gently bent on log axes, so few are enough."""


def grid(low: float, high: float, n: int = N_POINTS) -> Array:
    """Return points at equal ratios."""
    return np.asarray(np.geomspace(low, high, n), dtype=np.float64)


def band(samples: Array, level: float) -> tuple[Array, Array]:
    """Central `level` of the resamples at each point; NaN where no resample is finite."""
    clean = np.where(np.isfinite(samples), samples, np.nan)
    low, high = np.full(clean.shape[1], np.nan), np.full(clean.shape[1], np.nan)
    usable = np.isfinite(clean).any(axis=0)
    if usable.any():
        edges = np.nanquantile(clean[:, usable], [(1 - level) / 2, (1 + level) / 2], axis=0)
        low[usable], high[usable] = edges
    return low, high


def single_factor(fit: Fit, variable: str, x: Array) -> tuple[Array, Array, Array]:
    """Loss, low and high of a law in one variable."""
    value = fit.value(**{variable: x})
    low, high = band(fit.samples(**{variable: x}), fit.level)
    return value, low, high


def _loss_at_optimum(law: str, theta: Array, size: Array, compute: Array) -> Array:
    form = get_law(law)
    variables = {"N": size, "D": compute / (6 * size), "C": compute}
    return form.value(theta, **{name: variables[name] for name in form.variables})


def frontier(fit: Fit, compute: Array) -> dict[str, tuple[Array, Array, Array]]:
    """Optimal size `N`, tokens `D` and loss `L` at each compute, each as value, low, high."""
    best = optimal_size(fit.law, fit.theta, compute)
    loss = _loss_at_optimum(fit.law, fit.theta, best, compute)
    theta = fit.resamples.T[:, :, None]
    sizes = np.atleast_2d(optimal_size(fit.law, theta, compute))
    losses = np.atleast_2d(_loss_at_optimum(fit.law, theta, sizes, compute))
    return {
        "N": (best, *band(sizes, fit.level)),
        "D": (compute / (6 * best), *band(compute / (6 * sizes), fit.level)),
        "L": (loss, *band(losses, fit.level)),
    }


def has_frontier(fit: Fit) -> bool:
    """Tell whether the law weighs size against something, so that there is a best size."""
    return get_law(fit.law).is_surface


def rows(x: Array, curve: tuple[Array, Array, Array], edges: tuple[float, float], **more: Any) -> list[Row]:
    """Rows of a curve, marked as fitted range between `edges` and as extrapolation outside.

    The points at the edges stand in both parts, so that the drawn line has no gap; each stretch is a
    `piece` of its own, so that the line does not jump over the fitted range.
    """
    made: list[Row] = []
    low, high = edges
    pieces = (("below", BEYOND, x <= low), ("inside", FITTED, (x >= low) & (x <= high)))
    for piece, part, mask in (*pieces, ("above", BEYOND, x >= high)):
        if mask.sum() < 2:
            continue
        for index in np.flatnonzero(mask):
            y, y_low, y_high = (float(line[index]) for line in curve)
            row: Row = {"x": float(x[index]), "y": y, "part": part, "piece": piece}
            if np.isfinite(y_low) and np.isfinite(y_high):
                row |= {"low": y_low, "high": y_high}
            made.append(row | more)
    return made


def reaching(edges: tuple[float, float], low: float, high: float) -> Array:
    """Grid over `edges` that reaches out to `low` and `high` where they lie outside, with the edges on it."""
    parts = [grid(*edges)]
    if low < edges[0]:
        parts.insert(0, grid(low, edges[0], N_POINTS // 2)[:-1])
    if high > edges[1]:
        parts.append(grid(edges[1], high, N_POINTS // 2)[1:])
    return np.concatenate(parts)
