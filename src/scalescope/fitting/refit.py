r"""Refits from a known optimum: thousands of resamples at the price of a few.

Around the optimum :math:`\hat\phi` new coordinates :math:`v` are chosen in which the law is as straight as it
can be,

.. math:: \phi = \hat\phi + v - \tfrac12 \Gamma(v, v), \qquad
          \Gamma = (J^\top K J)^{-1} J^\top K\, \partial^2 f,

with :math:`J` and :math:`\partial^2 f` the first and second derivatives of the predictions there and
:math:`K` the weights of an equivalent least squares. This takes out the *parameter-effects* curvature of
Bates & Watts (1980, https://doi.org/10.1111/j.2517-6161.1980.tb01094.x); what is left, the intrinsic one, is
some seventy times smaller for the Chinchilla law on its own data. So a first phase minimises the objective of
the straightened law, whose derivatives are the same in every resample: all its sums over runs are products of
matrices. A second phase goes on with the law itself.

Few noisy runs can leave several valleys, and the best one of a resample need not be that of the runs. So a
few problems are also solved from other starts, and those that found a lower objective there are tried on all.

Where problems times runs are many, the second phase is left out as long as the curvature that the first one
ignores moves predictions by less than `STRAIGHT` of a typical residual: its cost is linear in the runs, and
what it changes falls faster than the spread of the resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.fitting.descent import Flags, held_at_bound
from scalescope.fitting.objective import Local, Objective
from scalescope.fitting.penalties import terms_of
from scalescope.fitting.solver import Solution, descend_zones, minimise
from scalescope.points import Array

MANY = 10_000_000
"""Problems times runs from which a nearly straight law is taken for a straight one."""
STRAIGHT = 0.01
"""Root mean square of the neglected curvature, as a share of the median residual."""
ROWS = 4_000
"""Runs, at most, that curvature is measured on."""
PROBED = 24
"""Problems that other starts are tried on first."""
KEPT = 2
"""Other starts, at most, that all problems are solved from."""
SHORT = 60
"""Most steps of them, before the best end goes on."""
LOWER = 1e-6
"""Share by which an objective must be lower to count."""
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
        left = self.residuals_at(u, y)
        terms = terms_of(objective.criterion, left, objective.weighted(weights), delta, mix)
        upper = np.triu_indices(m)
        curvature = np.empty((len(u), m, m))
        curvature[:, upper[0], upper[1]] = curvature[:, upper[1], upper[0]] = terms.curvature @ self.products
        coordinates = objective.coordinates
        value, downhill = terms.value, terms.pull @ self.jacobian.T
        precision = objective.noise * coordinates.prior_precision
        if precision.any():
            rate = coordinates.rate(coordinates.theta(self.origin))
            off = coordinates.expanded(self.origin) - coordinates.prior_mean + rate * u[:, coordinates.group]
            value = value + 0.5 * (precision * off**2).sum(axis=1)
            downhill = downhill - coordinates.pulled(precision * rate * off)
            curvature = curvature + np.diag(coordinates.pulled(precision * rate**2))
        return Local(np.where(np.isfinite(value), value, np.inf), downhill, curvature)

    def residuals_at(self, u: Array, y: Array) -> Array:
        """Residuals at straight coordinates, shape (batch, n)."""
        scaled = y if self.objective.errors is None else y / self.objective.errors
        return np.asarray(scaled - self.fitted - u @ self.jacobian)

    def bent(self, v: Array) -> Array:
        """Free coordinates of straight ones, shape (batch, m)."""
        return np.asarray(self.origin + v - 0.5 * np.einsum("aij,bi,bj->ba", self.bend, v, v))

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


def refit(
    objective: Objective,
    optima: Array,
    y: Array,
    weights: Array,
    *,
    target: Array | None = None,
    starts: Array | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 100,
    exact: bool | None = None,
) -> Solution:
    """Minimise many problems that differ little from one whose optima are known.

    Parameters
    ----------
    objective
        Law, variables and criterion, common to all problems.
    optima
        Fitted coordinates of the known problem's best optima, shape (n_optima, k); the best end of each
        problem is kept.
    y, weights
        Shape (batch, n), or (1, n) where all problems share them; y as `Objective.transform` gives it.
    target
        The known problem's y, shape (n,); where not given, the mean of `y`.
    starts
        Other starts in fitted coordinates, shape (n_starts, k), such as those of the known problem; tried on
        `PROBED` problems, and on all where they lower an objective. Not used where the straight law is
        enough.
    tolerance, max_iterations
        See `solver.minimise`.
    exact
        Whether to go on with the law itself; None decides by `MANY` and `STRAIGHT`.
    """
    known = y.mean(axis=0) if target is None else target
    ends = [_refit(objective, phi, known, y, weights, tolerance, max_iterations, exact) for phi in optima]
    end = ends[0]
    for other in ends[1:]:
        end = _lower(end, other, np.arange(len(end.objective)))
    if starts is None or not len(starts) or end.evaluations == 0:
        return end
    return _from_elsewhere(objective, starts, y, weights, end, tolerance)


def _from_elsewhere(
    objective: Objective, starts: Array, y: Array, weights: Array, end: Solution, tolerance: float
) -> Solution:
    """Solve a few problems from every start, and all from the starts that helped."""

    def solve(start: Array, rows: npt.NDArray[np.intp]) -> Solution:
        some = (part if len(part) == 1 else part[rows] for part in (y, weights))
        return minimise(
            objective, np.tile(start, (len(rows), 1)), *some, tolerance=LOWER, max_iterations=SHORT
        )

    batch, before = len(end.objective), end.objective
    few = np.arange(min(PROBED, batch))
    trials = [solve(start, few) for start in starts]
    lowest = end.objective[few].copy()
    for _ in range(KEPT):
        gained = [trial.objective < lowest * (1 - LOWER) - 1e-300 for trial in trials]
        useful = int(np.argmax([flags.sum() for flags in gained]))
        if not gained[useful].any():
            break
        end = _lower(end, trials[useful], few)
        lowest = np.minimum(lowest, trials[useful].objective)
        rest = np.arange(len(few), batch)
        if rest.size:
            end = _lower(end, solve(starts[useful], rest), rest)
    moved = np.flatnonzero(end.objective < before)
    if not moved.size:
        return end
    some = (part if len(part) == 1 else part[moved] for part in (y, weights))
    return _lower(end, minimise(objective, end.phi[moved], *some, tolerance=tolerance, near=True), moved)


def _lower(one: Solution, other: Solution, rows: npt.NDArray[np.intp]) -> Solution:
    """Take the lower of two ends; `other` holds only some rows."""
    better = other.objective < one.objective[rows]
    phi, value, converged = one.phi.copy(), one.objective.copy(), one.converged.copy()
    there = rows[better]
    phi[there], value[there] = other.phi[better], other.objective[better]
    converged[there] = other.converged[better]
    evaluations = one.evaluations + other.evaluations
    return Solution(phi=phi, objective=value, converged=converged, evaluations=evaluations)


def _refit(
    objective: Objective,
    phi: Array,
    known: Array,
    y: Array,
    weights: Array,
    tolerance: float,
    max_iterations: int,
    exact: bool | None,
) -> Solution:
    batch = max(len(y), len(weights))
    straight = straighten(objective, phi, known)
    m = len(straight.origin)
    low, high = objective.coordinates.limits()
    wide = np.full((batch, m), np.inf)
    state = descend_zones(
        objective,
        straight,
        np.zeros((batch, m)),
        y,
        weights,
        limits=(-wide, wide),
        damping=0.1,
        near=False,
        tolerance=max(tolerance, 1e-7),
        max_iterations=max_iterations,
    )
    near = objective.coordinates.expanded(np.clip(straight.bent(state.u), low, high))
    if exact is None:
        typical = float(np.median(np.abs(known / _errors(objective) - straight.fitted)))
        exact = batch * len(known) < MANY or bool((straight.neglected(state.u) > STRAIGHT * typical).any())
    if not exact:
        return Solution(phi=near, objective=state.value, converged=state.converged)
    end = minimise(objective, near, y, weights, tolerance=tolerance, max_iterations=max_iterations, near=True)
    # A straight law can lead astray where a resample is far off: then start from the known optimum itself.
    worse = np.flatnonzero(~(end.objective <= state.first))
    if worse.size:
        some = (part if len(part) == 1 else part[worse] for part in (y, weights))
        again = minimise(objective, np.tile(phi, (len(worse), 1)), *some, tolerance=tolerance)
        end.phi[worse], end.objective[worse] = again.phi, again.objective
        end.converged[worse] = again.converged
    return end


def _errors(objective: Objective) -> Array:
    return np.ones(objective.n_runs) if objective.errors is None else objective.errors
