r"""Penalties of residuals, with what Newton's method needs of them.

Huber's penalty is :math:`\rho(r) = r^2/2` up to :math:`\delta` and :math:`\delta(|r| - \delta/2)` beyond. The
squared penalty is its limit for a large :math:`\delta`, :math:`r^2/2`; the absolute one is its limit
:math:`\rho/\delta \to |r|` for a small one. With `below` = q, runs below the law weigh 2q and those above
2(1 - q).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalescope.fitting.criterion import Criterion
from scalescope.points import Array


class Terms(NamedTuple):
    """What residuals of shape (batch, n) add to an objective and to its derivatives."""

    value: Array
    """Sum of the penalties, shape (batch,); not finite where a residual is not."""
    pull: Array
    """Weight times the derivative of the penalty by the residual, shape (batch, n)."""
    curvature: Array
    """Weight times a second derivative, shape (batch, n); see `terms_of`."""


def terms_of(
    criterion: Criterion, residuals: Array, weights: Array, delta: Array | float, mix: Array
) -> Terms:
    """Return value, pull and curvature of a penalty.

    Parameters
    ----------
    criterion
        The penalty and its asymmetry.
    residuals, weights
        Shape (batch, n); weights broadcast.
    delta
        Where the penalty turns linear, a number or of shape (batch, 1).
    mix
        Shape (batch, 1). The true second derivative of a penalty is zero beyond delta. This share of the
        weight delta/|r| of iteratively re-weighted least squares stands in there, and is added within.
    """
    weights = asymmetric(criterion, residuals, weights)
    if criterion.penalty == "squared":
        pull = weights * residuals
        return Terms(0.5 * np.einsum("bn,bn->b", pull, residuals), pull, weights + 0 * residuals)
    if criterion.penalty == "absolute":
        weights = weights / delta
    inner = np.clip(residuals, -delta, delta)
    pull = weights * inner
    curvature = np.abs(residuals)
    np.maximum(curvature, delta, out=curvature)
    np.divide(mix * delta, curvature, out=curvature)
    curvature += inner == residuals
    curvature *= weights
    inner *= -0.5
    inner += residuals
    return Terms(np.einsum("bn,bn->b", pull, inner), pull, curvature)


def asymmetric(criterion: Criterion, residuals: Array, weights: Array) -> Array:
    """Weights that also tell runs below the law from those above it."""
    if criterion.below == 0.5:
        return weights
    share = criterion.below
    return np.asarray(weights * np.where(residuals < 0, 2 * share, 2 * (1 - share)))


def penalty_of(criterion: Criterion, residuals: Array, weights: Array) -> Array:
    """Weighted sum of the penalties over the last axis, exactly as the criterion defines it."""
    weights = asymmetric(criterion, residuals, weights)
    size = np.abs(residuals)
    if criterion.penalty == "absolute":
        return np.asarray(np.sum(weights * size, axis=-1))
    inner = size if criterion.penalty == "squared" else np.minimum(size, criterion.delta)
    return np.asarray(np.sum(weights * inner * (size - 0.5 * inner), axis=-1))
