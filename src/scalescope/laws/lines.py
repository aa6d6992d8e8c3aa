"""Straight lines through logarithms: where the fits of curves start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalescope.laws.base import Array

SHARES = (0.0, 0.3, 0.6, 0.9, 0.97)
"""Floors that are tried, as shares of the lowest ordinate."""


def floors_below(target: Array, shares: Sequence[float] = SHARES) -> Array:
    """Return floors below every ordinate, shape (len(shares),)."""
    return np.asarray(shares) * max(float(target.min()), 0.0)


def logs_above(floors: Array, target: Array) -> tuple[Array, Array]:
    """Return the logarithm of what lies above each floor and its weight, shape (n_floors, n) each.

    The weight is the share of the ordinate that lies above the floor: an error of a percent of the
    ordinate is an error of a percent over that share in the logarithm. Ordinates at or below a floor count
    as a thousandth of the largest.
    """
    above = np.maximum(target - floors[:, None], 1e-3 * np.abs(target).max() + 1e-300)
    return np.log(above), np.clip(above / np.maximum(target, above), 1e-3, 1.0)


def fit_lines(basis: Sequence[Array], wanted: Array, weights: Array) -> Array:
    """Least squares in the columns of `basis`, many problems at once.

    Parameters
    ----------
    basis
        Columns, each of shape (n,) or (batch, n).
    wanted, weights
        Shape (batch, n); residuals are multiplied by the weights.

    Returns
    -------
    Array
        Shape (batch, n_columns). A column that others make up gets next to nothing.
    """
    columns = np.stack([np.broadcast_to(column, wanted.shape) * weights for column in basis], axis=-1)
    size = np.sqrt((columns**2).mean(axis=-2)) + 1e-300
    columns = columns / size[..., None, :]
    squares = np.swapaxes(columns, -1, -2) @ columns + 1e-9 * wanted.shape[-1] * np.eye(len(basis))
    right = np.swapaxes(columns, -1, -2) @ (wanted * weights)[..., None]
    return np.asarray(np.linalg.solve(squares, right)[..., 0] / size)
