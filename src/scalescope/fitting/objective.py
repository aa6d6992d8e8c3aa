r"""The objective of a fit, for many coefficient vectors at once.

.. math:: S(\theta) = \sum_i w_i\, \mathrm{Huber}_\delta(\log L_i - \log \hat L(\theta, x_i))

a sum over the runs, not a mean, as Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556, section 3.3) and
those who repeated them print it. Fitted coordinates are the coefficients themselves or, for those that are
scales, their logarithms; bounds are kept in the same coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.laws import Law
from scalescope.points import Array

LOG_LIMIT = 200.0
"""A logarithm further from zero than this is a runaway, not a coefficient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One law, the variables of n runs, and what is minimised; batches run over the rest."""

    law: Law
    x: Mapping[str, Array]
    criterion: Criterion = HUBER
    restraints: Restraints = FREE

    @property
    def logged(self) -> Array:
        """1 for the coefficients that are fitted as logarithms, else 0, shape (k,)."""
        return np.array([float(one.positive) for one in self.law.coefficients.values()])

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper limits in fitted coordinates, each of shape (k,)."""
        low, high = self.law.bounds()
        logged = self.logged > 0
        with np.errstate(divide="ignore"):
            log_low, log_high = np.log(np.maximum(low, 0)), np.log(np.maximum(high, 0))
        return (
            np.where(logged, np.maximum(log_low, -LOG_LIMIT), low),
            np.where(logged, np.minimum(log_high, LOG_LIMIT), high),
        )

    def fitted(self, theta: Array) -> Array:
        """Natural coefficients (batch, k) in fitted coordinates."""
        logged = self.logged > 0
        with np.errstate(divide="ignore"):
            return np.where(logged, np.log(np.where(logged, theta, 1.0)), theta)

    def natural(self, phi: Array) -> Array:
        """Fitted coordinates (batch, k) as natural coefficients."""
        logged = self.logged > 0
        return np.where(logged, np.exp(np.where(logged, phi, 0.0)), phi)

    def log_loss(self, phi: Array) -> Array:
        """Predicted log loss, shape (batch, n); nan or inf where the coefficients make no sense."""
        theta = self.natural(phi).T[:, :, None]
        with np.errstate(all="ignore"):
            return np.asarray(np.log(self.law.value(theta, **self.x)))

    def jacobian(self, phi: Array) -> Array:
        """Derivative of the predicted log loss by the fitted coordinates, shape (batch, k, n)."""
        natural = self.natural(phi)
        theta = natural.T[:, :, None]
        with np.errstate(all="ignore"):
            slope = self.law.gradient(theta, **self.x) / self.law.value(theta, **self.x)
        scale = np.where(self.logged > 0, natural, 1.0)
        return np.asarray(np.moveaxis(slope, 0, 1) * scale[:, :, None])

    def value(self, residuals: Array, weights: Array) -> Array:
        """Weighted sum of Huber losses, shape (batch,); inf where a residual is not finite."""
        size = np.abs(residuals)
        with np.errstate(all="ignore"):
            inside = np.minimum(size, self.criterion.delta)
            total = np.sum(weights * inside * (size - 0.5 * inside), axis=-1)
        return np.where(np.isfinite(total), total, np.inf)

    def pull(self, residuals: Array) -> Array:
        """Huber's weight of each run, min(1, delta / |residual|)."""
        return np.asarray(self.criterion.delta / np.maximum(np.abs(residuals), self.criterion.delta))
