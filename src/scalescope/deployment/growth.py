r"""Fits of a + b L + c L² with coefficients that are not negative, many samples at once; numpy only.

With three coefficients the non-negative least squares problem is solved by looking at every set of
coefficients that are not zero: seven small linear problems, each one matrix product for all samples.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from scalescope.points import Array

TERMS = 3
"""a, b and c."""


def powers(lengths: Array, order: int = 2) -> Array:
    """Return the columns 1, L, L² up to an order, one row a length."""
    return np.asarray(np.stack([lengths**k for k in range(order + 1)], axis=-1))


def fit_growth(lengths: Array, values: Array, weights: Array, *, order: int) -> Array:
    """Fit a + b L (+ c L²) to every row of values by weighted least squares, no coefficient below zero.

    Parameters
    ----------
    lengths
        One a point, (n,).
    values
        One row a sample, (m, n).
    weights
        One over the standard deviation of every point, (n,).
    order
        1 for linear growth, 2 with the quadratic term.

    Returns
    -------
    Array
        a, b, c for every row, (m, 3); c is 0 for order 1.
    """
    scale = lengths.max()
    design = powers(lengths / scale, order) * weights[:, None]
    target = np.atleast_2d(values) * weights
    best = np.zeros((len(target), TERMS))
    least = np.sum(target**2, axis=1)
    for count in range(1, order + 2):
        for kept in combinations(range(order + 1), count):
            if count > len(lengths):
                continue
            found = target @ np.linalg.pinv(design[:, kept]).T
            missed = np.sum((target - found @ design[:, kept].T) ** 2, axis=1)
            better = (found >= 0).all(axis=1) & (missed < least * (1 - 1e-12))
            least = np.where(better, missed, least)
            rows = np.zeros((len(target), TERMS))
            rows[:, kept] = found
            best = np.where(better[:, None], rows, best)
    return np.asarray(best / scale ** np.arange(TERMS))


def value_at(coefficients: Array, length: float) -> Array:
    """Evaluate a + b L + c L² for every row of coefficients."""
    return np.asarray(coefficients @ np.array([1.0, length, length**2]))


def length_at(coefficients: Array, value: float) -> Array:
    """Solve a + b L + c L² = value for every row: 0 where even L = 0 is above, infinite without growth."""
    a, b, c = np.atleast_2d(coefficients).T
    room = value - a
    with np.errstate(divide="ignore", invalid="ignore"):
        # The form of the root that does not cancel where c is tiny.
        root = 2 * room / (b + np.sqrt(b**2 + 4 * c * np.maximum(room, 0.0)))
    return np.asarray(np.where(room <= 0, 0.0, np.where((b == 0) & (c == 0), np.inf, root)))


def crossing(coefficients: Array) -> Array:
    """Return the length at which c L² exceeds b L for every row; infinite without a quadratic term."""
    _, b, c = np.atleast_2d(coefficients).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(c > 0, b / c, np.inf))
