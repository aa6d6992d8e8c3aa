"""Least squares of relative errors with coefficients at or above zero, outliers held down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ROUNDS = 12
SMALL = 0.03
"""Share of the whole below which a part is held to its centre as if it had this share."""

KNEE = 0.1
"""Relative error above which a row counts by its size and no longer by its square."""


def fit_nonnegative(
    parts: Vector,
    wanted: Vector,
    *,
    centre: Vector | None = None,
    weight: float = 0.0,
    scale: Vector | None = None,
) -> Vector:
    """Find factors such that `parts @ factors` is near `wanted`, relative to `scale`.

    Parameters
    ----------
    parts
        A row for each observation, a column for each factor; at or above zero.
    wanted
        One value a row.
    centre
        Where factors are drawn to; 1 each by default.
    weight
        How many rows that pull counts for; 0 for none.
    scale
        What errors are relative to; `wanted` itself by default.
    """
    size = np.maximum(np.abs(wanted if scale is None else scale), 1e-300)
    rows, target = parts / size[:, None], wanted / size
    factors, weights = np.ones(parts.shape[1]), np.ones(len(wanted))
    middle = np.ones(parts.shape[1]) if centre is None else centre
    # A part that hardly matters is held as if it mattered a little, or it would soak up what others miss.
    pull = np.diag(weight * np.maximum(np.sqrt(np.mean(rows**2, axis=0)), SMALL) ** 2)
    for _ in range(ROUNDS):
        scaled = rows * weights[:, None]
        gram = scaled.T @ rows + pull
        factors = _solve(gram, scaled.T @ target + pull @ middle)
        error = np.abs(rows @ factors - target)
        weights = np.minimum(1.0, KNEE / np.maximum(error, 1e-9))
    return factors


def _solve(gram: Vector, right: Vector) -> Vector:
    """Minimise x'Gx/2 - r'x over x >= 0 by the active set of Lawson and Hanson (1974)."""
    size = len(right)
    free, x = np.zeros(size, dtype=bool), np.zeros(size)
    for _ in range(4 * size):
        slope = right - gram @ x
        slope[free] = -np.inf
        best = int(np.argmax(slope))
        if slope[best] <= 1e-12 * max(1.0, float(np.abs(right).max())):
            break
        free[best] = True
        x = _settle(gram, right, free, x)
    return x


def _settle(gram: Vector, right: Vector, free: NDArray[np.bool_], x: Vector) -> Vector:
    """Solve on the free coordinates; walk back to the border and fix what would turn negative."""
    while free.any():
        new = np.zeros_like(x)
        new[free] = np.linalg.lstsq(gram[np.ix_(free, free)], right[free], rcond=None)[0]
        wrong = free & (new <= 0)
        if not wrong.any():
            return new
        step = float(np.min(x[wrong] / (x[wrong] - new[wrong] + 1e-300)))
        x = x + step * (new - x)
        free &= x > 1e-15
        x[~free] = 0.0
    return np.zeros_like(x)
