"""Refits from a known optimum: thousands of resamples at the price of a few.

A first phase minimises the objective of a straightened law (see `straight`), whose derivatives are the same
in every resample. A second phase goes on with the law itself.

Few noisy runs can leave several valleys, and the best one of a resample need not be that of the runs. So a
few problems are also solved from other starts, and those that found a lower objective there are tried on all.

The cost is linear in problems times runs, while what the second phase changes falls faster with the runs than
the spread of the resamples does. So where that product is large it is left out, as long as the neglected
curvature moves predictions by less than `STRAIGHT` of a typical residual. Where it is larger still, the first
phase is cut to one Newton step, which needs the weights only once: with 100,000 runs and noise of 1% that is
off by 1% of the spread. `benchmarks/fit_speed.py` measures both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scalescope.fitting.objective import Local, Objective
from scalescope.fitting.penalties import penalty_of, terms_of
from scalescope.fitting.solver import Solution, descend_zones, minimise
from scalescope.fitting.straight import Straightened, straighten
from scalescope.fitting.systems import solve_systems
from scalescope.points import Array

MANY = 1_500_000
"""Problems times runs from which a nearly straight law is taken for a straight one."""
HUGE, SETTLED = 15_000_000, 1_000
"""Problems times runs, and runs in the quadratic zone for each coefficient, from which one step is enough."""
STRAIGHT = 0.01
"""Root mean square of the neglected curvature, as a share of the median residual."""
INSIDE = 6
"""Runs in the quadratic zone for each coefficient, from which Newton's method needs no wider zones first."""
PROBED = 24
"""Problems that other starts are tried on first."""
KEPT = 2
"""Other starts, at most, that all problems are solved from."""
SHORT = 60
"""Most steps of them, before the best end goes on."""
LOWER = 1e-6
"""Share by which an objective must be lower to count."""


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
    n_inside = straight.inside(known)
    if exact is None and len(y) == 1 and batch * len(known) >= HUGE and n_inside >= SETTLED * m:
        return _one_step(straight, y, weights)
    state = descend_zones(
        objective,
        straight,
        np.zeros((batch, m)),
        y,
        weights,
        limits=(-wide, wide),
        damping=0.1,
        near=n_inside >= INSIDE * m,
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


def _one_step(straight: Straightened, y: Array, weights: Array) -> Solution:
    """Newton's first step of every problem: their derivatives at the optimum are sums of the same terms."""
    objective, m = straight.objective, len(straight.origin)
    ones, delta = np.ones(y.shape), objective.criterion.delta
    mix = np.zeros((1, 1))
    with np.errstate(all="ignore"):
        left = straight.residuals_at(np.zeros((1, m)), y)
        terms = terms_of(objective.criterion, left, objective.weighted(ones), delta, mix)
    sums = (
        weights
        @ np.concatenate([terms.pull * straight.jacobian, terms.curvature * straight.products.T], axis=0).T
    )
    upper = np.triu_indices(m)
    curvature = np.empty((len(weights), m, m))
    curvature[:, upper[0], upper[1]] = curvature[:, upper[1], upper[0]] = sums[:, m:]
    zero = np.zeros((len(weights), m))
    local = straight.with_prior(zero, Local(np.zeros(len(weights)), sums[:, :m], curvature))
    step = solve_systems(local.curvature, local.downhill)
    low, high = objective.coordinates.limits()
    phi = objective.coordinates.expanded(np.clip(straight.bent(step), low, high))
    each = penalty_of(objective.criterion, left.T, ones.T) * objective.weighted(ones)[0]
    value = weights @ each + objective.prior(objective.coordinates.expanded(straight.origin))
    value = value - 0.5 * np.einsum("bm,bm->b", local.downhill, step)
    return Solution(phi=phi, objective=value, converged=np.ones(len(weights), dtype=np.bool_))


def _errors(objective: Objective) -> Array:
    return np.ones(objective.n_runs) if objective.errors is None else objective.errors
