r"""A law around an optimum in the coordinates in which it is straightest.

New coordinates :math:`v` around the optimum :math:`\hat\phi` are chosen so that the law is as straight as it
can be,

.. math:: \phi = \hat\phi + v - \tfrac12 \Gamma(v, v), \qquad
          \Gamma = (J^\top K J)^{-1} J^\top K\, \partial^2 f,

with :math:`J` and :math:`\partial^2 f` the first and second derivatives of the predictions there and
:math:`K` the weights of an equivalent least squares. This takes out the *parameter-effects* curvature of
Bates & Watts (1980, https://doi.org/10.1111/j.2517-6161.1980.tb01094.x); what is left, the intrinsic one, is
some seventy times smaller for the Chinchilla law on its own data. The derivatives of the straightened law are
the same in every resample, so that all its sums over runs are products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.descent import CHUNK, Flags, held_at_bound
from scalescope.fitting.objective import Local, Objective
from scalescope.fitting.penalties import terms_of
from scalescope.points import Array

LEAST_ROWS = 512
"""Runs, at least, whose sums are taken at once."""
ROWS = 4_000
"""Runs, at most, that curvature is measured on."""
STEP = 1e-4
"""Of the differences that give second derivatives: of a logarithm, or relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Straightened:
    """The law around an optimum, linear in coordinates v.  Built by `straighten`."""

    objective: Objective
    origin: Array
    """The optimum in free coordinates, shape (m,)."""
    fitted: Array
    """Predictions there over the standard errors, shape (n,)."""
    jacobian: Array
    """Shape (m, n)."""
    products: Array
    """Products of two rows of the Jacobian, the upper triangle, shape (n, m (m + 1) / 2)."""
    bend: Array
    """Gamma, shape (m, m, m)."""
    leftover: Array
    """Second derivatives that remain, shape (m, m, at most ROWS)."""

    def local(self, u: Array, y: Array, weights: Array, mix: Array, delta: Array | float) -> Local:
        """Value and derivatives by v; see `Objective.local`."""
        objective, m = self.objective, u.shape[1]
        value, downhill = np.zeros(len(u)), np.zeros(u.shape)
        products = np.zeros((len(u), self.products.shape[1]))
        scaled, n = self._scaled(y), self.jacobian.shape[1]
        weights = objective.weighted(weights)
        size = max(CHUNK // max(len(u), 1), LEAST_ROWS)
        with np.errstate(all="ignore"):
            for rows in (slice(at, at + size) for at in range(0, n, size)):
                left = scaled[:, rows] - self.fitted[rows] - u @ self.jacobian[:, rows]
                terms = terms_of(objective.criterion, left, weights[:, rows], delta, mix)
                value += terms.value
                downhill += terms.pull @ self.jacobian[:, rows].T
                products += terms.curvature @ self.products[rows]
        upper = np.triu_indices(m)
        curvature = np.empty((len(u), m, m))
        curvature[:, upper[0], upper[1]] = curvature[:, upper[1], upper[0]] = products
        return self.with_prior(u, Local(value, downhill, curvature))

    def with_prior(self, u: Array, local: Local) -> Local:
        """Add the priors, and mark what cannot be computed."""
        value, downhill, curvature = local
        coordinates = self.objective.coordinates
        precision = self.objective.noise * coordinates.prior_precision
        if precision.any():
            rate = coordinates.rate(coordinates.theta(self.origin))
            off = coordinates.expanded(self.origin) - coordinates.prior_mean + rate * u[:, coordinates.group]
            value = value + 0.5 * (precision * off**2).sum(axis=1)
            downhill = downhill - coordinates.pulled(precision * rate * off)
            curvature = curvature + np.diag(coordinates.pulled(precision * rate**2))
        return Local(np.where(np.isfinite(value), value, np.inf), downhill, curvature)

    def _scaled(self, y: Array) -> Array:
        return y if self.objective.errors is None else y / self.objective.errors

    def residuals_at(self, u: Array, y: Array) -> Array:
        """Residuals at straight coordinates, shape (batch, n)."""
        return np.asarray(self._scaled(y) - self.fitted - u @ self.jacobian)

    def bent(self, v: Array) -> Array:
        """Free coordinates of straight ones, shape (batch, m)."""
        return np.asarray(self.origin + v - 0.5 * np.einsum("aij,bi,bj->ba", self.bend, v, v))

    def inside(self, y: Array) -> int:
        """Count the runs in the quadratic zone of the penalty at the optimum; y of shape (n,)."""
        left = np.abs(self._scaled(y) - self.fitted)
        criterion = self.objective.criterion
        zone = {"huber": criterion.delta, "squared": np.inf}.get(criterion.penalty, 0.0)
        return int((left <= zone).sum())

    def neglected(self, v: Array) -> Array:
        """Root mean square over the runs of what the straight law leaves out, shape (batch,)."""
        products = np.einsum("ijn,kln->ijkl", self.leftover, self.leftover) / self.leftover.shape[2]
        square = np.einsum("ijkl,bi,bj,bk,bl->b", products, v, v, v, v, optimize=True)
        return np.asarray(0.5 * np.sqrt(np.maximum(square, 0.0)))


def straighten(objective: Objective, phi: Array, y: Array) -> Straightened:
    """Choose coordinates in which the law is straightest around an optimum, shape (k,); y of shape (n,)."""
    coordinates = objective.coordinates
    origin = coordinates.reduced(phi)
    free = _free(objective, origin, y)
    rows = np.unique(np.linspace(0, len(y) - 1, min(ROWS, len(y))).astype(np.intp))
    jacobian = _jacobian(objective, origin[None])[0] * free[:, None]
    m = len(origin)
    step = STEP * np.where(coordinates.logs, 1.0, np.maximum(np.abs(origin), STEP))
    shifted = origin + np.concatenate([np.diag(step), -np.diag(step)])
    slopes = _jacobian(objective, shifted)[:, :, rows] * free[:, None]
    second = (slopes[:m] - slopes[m:]) / (2 * step)[:, None, None] * free[:, None, None]
    second = np.where(np.isfinite(second), (second + np.swapaxes(second, 0, 1)) / 2, 0.0)
    left = objective.residuals(phi[None], y)[0]
    pull = objective.weighted(objective.pull(left))[rows]
    weighted = jacobian[:, rows] * pull
    gram = weighted @ jacobian[:, rows].T
    bend = np.einsum("ab,bn,ijn->aij", np.linalg.pinv(gram, rcond=1e-12, hermitian=True), weighted, second)
    upper = np.triu_indices(m)
    return Straightened(
        objective=objective,
        origin=origin,
        fitted=(y if objective.errors is None else y / objective.errors) - left,
        jacobian=jacobian,
        products=(jacobian[upper[0]] * jacobian[upper[1]]).T,
        bend=bend,
        leftover=second - np.einsum("an,aij->ijn", jacobian[:, rows], bend),
    )


def _jacobian(objective: Objective, u: Array) -> Array:
    """Derivative of predictions over standard errors by free coordinates, shape (batch, m, n)."""
    theta = objective.coordinates.theta(u)
    slopes = objective.jacobian(objective.coordinates.fitted(theta))
    slopes = slopes * objective.coordinates.rate(theta)[:, :, None]
    if objective.errors is not None:
        slopes = slopes / objective.errors
    if objective.coordinates.tied:
        slopes = np.swapaxes(objective.coordinates.pulled(np.swapaxes(slopes, 1, 2)), 1, 2)
    return slopes


def _free(objective: Objective, origin: Array, y: Array) -> Flags:
    """Coordinates that are neither fixed nor pressed against a bound at the optimum, shape (m,)."""
    low, high = objective.coordinates.limits()
    zone = objective.criterion.delta
    local = objective.local(origin[None], y[None], np.ones((1, len(y))), np.ones((1, 1)), zone)
    held = held_at_bound(origin, local.downhill[0], low, high)
    return ~held & (low < high)
