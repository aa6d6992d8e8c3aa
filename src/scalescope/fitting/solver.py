"""A batched minimiser: every start and every resample of a fit at once, in numpy alone.

`descent` has the method. Convergence is judged relatively: it does not depend on the unit of the loss, on the
number of runs or on the size of the noise, down to residuals that are rounding.

Where the quadratic zone of a Huber penalty is much narrower than the residuals, it holds hardly more runs
than there are coefficients, and from any one such set of runs Newton's method only creeps to the next. So
wider zones come first and shrink in turns. An absolute penalty is the same with a last zone of a millionth of
the mean residual; its objective is then computed exactly, and is above the lowest by about that share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from scalescope.fitting.descent import CHUNK, REACH, Flags, Model, State, Task, descend, held_at_bound
from scalescope.fitting.objective import Objective
from scalescope.points import Array

ROUNDING = 1e-12
"""Objective a run below which nothing more is gained: log residuals of a millionth."""
WIDEST, NARROWER = 0.5, 0.1
"""The first zone as a share of the mean residual, and what the share is multiplied by from turn to turn."""
NARROWEST = 1e-6
"""Last zone of an absolute penalty, as a share of the mean residual."""
ENOUGH = 3.0
"""No wider zone is needed below this many times the last one."""
LOOSE, SHORT = 1e-4, 50
"""Tolerance and most steps of each turn but the last."""


TOGETHER = 16
"""Problems that a straightened law takes at once, however many runs there are."""
NEAR = 0.01
"""The first mu of `descent` where starts are near their optimum."""


class Straight(Model, Protocol):
    """A model that also tells its residuals."""

    def residuals_at(self, u: Array, y: Array) -> Array:
        """Residuals at free coordinates, shape (batch, n)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Where each problem of a batch ended."""

    phi: Array
    """Fitted coordinates, shape (batch, k)."""
    objective: Array
    """Shape (batch,); inf where no finite value was ever reached."""
    converged: Flags
    """Whether nothing more was to be gained, shape (batch,)."""
    evaluations: int = 0
    """Evaluations of the law and its gradient, all problems together."""

    def best(self) -> int:
        """Index of the lowest objective."""
        return int(np.argmin(self.objective))


def minimise(
    objective: Objective,
    starts: Array,
    y: Array,
    weights: Array,
    *,
    tolerance: float = 1e-12,
    max_iterations: int = 200,
    low: Array | None = None,
    high: Array | None = None,
    near: bool = False,
) -> Solution:
    """Minimise from every start, each problem with its own targets, weights and limits.

    Parameters
    ----------
    objective
        Law, variables and criterion, common to all problems.
    starts
        Fitted coordinates, shape (batch, k); clipped into the limits.
    y, weights
        Shape (batch, n), or (1, n) where all problems share them; y as `Objective.transform` gives it.
    tolerance
        A problem ends when a step promised and gained less than this share of its objective.
    max_iterations
        Limit for each problem; a problem that reaches it is returned as it stands.
    low, high
        Limits in fitted coordinates, shape (batch, k), instead of those of the objective; where they are
        equal the coordinate is fixed.
    near
        Whether starts are near their optimum, so that Newton's method serves at once.
    """
    coordinates = objective.coordinates
    least, most = (
        np.broadcast_to(limit, (len(starts), coordinates.n_free)) for limit in coordinates.limits(low, high)
    )
    state = descend_zones(
        objective,
        objective,
        np.clip(coordinates.reduced(starts), least, most),
        y,
        weights,
        limits=(least, most),
        damping=NEAR if near else 1.0,
        near=near,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    phi = coordinates.expanded(state.u)
    value = state.value
    if objective.criterion.penalty == "absolute":
        value = total_of(objective, phi, y, weights)
    if not near:
        # Zones that shrink on the way can lead out of a shallow valley; never end higher than the start.
        first = coordinates.expanded(np.clip(coordinates.reduced(starts), least, most))
        before = total_of(objective, first, y, weights)
        lower = before < value
        phi, value = np.where(lower[:, None], first, phi), np.where(lower, before, value)
    return Solution(phi=phi, objective=value, converged=state.converged, evaluations=int(state.steps.sum()))


def descend_zones(
    objective: Objective,
    model: Straight,
    start: Array,
    y: Array,
    weights: Array,
    *,
    limits: tuple[Array, Array],
    damping: float,
    near: bool,
    tolerance: float,
    max_iterations: int,
) -> State:
    """Descend on an objective, or a straightened model of it, in the turns that its penalty needs.

    See `minimise`; `start` and `limits` are in free coordinates, shape (batch, m), and `damping` is the first
    mu of `descent`.
    """
    task = Task(
        model=model,
        y=y,
        weights=weights,
        low=limits[0],
        high=limits[1],
        delta=np.inf,
        smallest=np.broadcast_to(ROUNDING * _unit(objective, y, weights), len(start)),
        numbers=~objective.coordinates.logs & objective.coordinates.scales if model is objective else False,
        together=1 if model is objective else TOGETHER,
        reach=np.where(objective.coordinates.logs, REACH, np.inf) if model is objective else np.inf,
    )
    last: Array | float = objective.criterion.delta
    if objective.criterion.penalty == "absolute":
        last = NARROWEST * _spread(model, start, y, weights)
    if objective.criterion.penalty == "squared":
        last, near = np.inf, True
    share, steps = WIDEST, np.zeros(len(start), dtype=np.intp)
    while not near:
        zone = np.maximum(share * _spread(model, start, y, weights), last)
        if (zone <= ENOUGH * last).all():
            break
        state = descend(
            replace(task, delta=zone), start, damping=damping, tolerance=LOOSE, max_iterations=SHORT
        )
        start, steps, share = state.u, steps + state.steps, NARROWER * share
    state = descend(
        replace(task, delta=last), start, damping=damping, tolerance=tolerance, max_iterations=max_iterations
    )
    return replace(state, steps=state.steps + steps)


def total_of(objective: Objective, phi: Array, y: Array, weights: Array) -> Array:
    """The objective at one point of each problem, exactly as defined, shape (batch,)."""
    return _chunked(objective.total, phi, y, weights)


def gradient_norm(objective: Objective, phi: Array, y: Array, weights: Array) -> tuple[float, float]:
    """Norm of the objective's gradient at one point, without what a bound holds; alone and relative.

    The relative norm is against the norm of the same sum with every term taken positive: it says which share
    of the runs' pulls does not cancel.
    """
    coordinates = objective.coordinates
    at = phi[None, :]
    residuals = objective.residuals(at, y)[0]
    pull = objective.weighted(weights * objective.pull(residuals)) * residuals
    if objective.errors is not None:
        pull = pull / objective.errors
    pulls = coordinates.pulled((objective.jacobian(at)[0] * pull).T)
    prior = coordinates.pulled(objective.noise * coordinates.prior_precision * (phi - coordinates.prior_mean))
    downhill = pulls.sum(axis=0) - prior
    free = ~held_at_bound(coordinates.reduced(phi), downhill, *coordinates.limits())
    norm = float(np.linalg.norm(downhill[free]))
    whole = float(np.linalg.norm((np.abs(pulls).sum(axis=0) + np.abs(prior))[free]))
    return norm, norm / whole if whole > 0 else 0.0


def polish(objective: Objective, phi: Array, y: Array, weights: Array) -> Array:
    """Refine one optimum with scipy's L-BFGS-B, then Newton steps; never worse than what came in."""
    from scipy.optimize import Bounds, minimize

    coordinates = objective.coordinates
    low, high = coordinates.limits()
    start = np.clip(coordinates.reduced(phi), low, high)
    mix = np.zeros((1, 1))
    zone = objective.criterion.delta if objective.criterion.penalty == "huber" else np.inf

    def value_and_slope(u: Array) -> tuple[float, Array]:
        local = objective.local(u[None], y[None], weights[None], mix, zone)
        # The objective is a small number; in units of its value at the start the line search sees it well.
        value = float(local.value[0]) / unit
        return (value, -local.downhill[0] / unit) if np.isfinite(value) else (1e300, 0 * u)

    unit = 1.0
    unit = max(value_and_slope(start)[0], 1e-300)
    found = minimize(
        value_and_slope,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(low, high),
        options={"maxiter": 300, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 30},
    )
    candidates = coordinates.expanded(np.stack([start, np.asarray(found.x, dtype=np.float64)]))
    solution = minimise(objective, candidates, y[None], weights[None], tolerance=1e-15)
    return np.asarray(solution.phi[solution.best()])


def _spread(model: Straight, u: Array, y: Array, weights: Array) -> Array:
    """Weighted mean of the absolute residuals of each problem, shape (batch, 1); one where there is none."""

    def mean(u: Array, y: Array, weights: Array) -> Array:
        with np.errstate(all="ignore"):
            size = np.abs(model.residuals_at(u, y))
            return np.asarray((weights * size).sum(axis=1) / weights.sum(axis=1))

    found = _chunked(mean, u, y, weights)
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)[:, None]


def _chunked(function: Callable[[Array, Array, Array], Array], phi: Array, y: Array, weights: Array) -> Array:
    size = max(1, CHUNK // y.shape[-1])
    parts = []
    for at in range(0, max(len(phi), 1), size):
        some = slice(at, at + size)
        given = (part if len(part) == 1 else part[some] for part in (y, weights))
        parts.append(function(phi[some], *given))
    return np.concatenate(parts)


def _unit(objective: Objective, y: Array, weights: Array) -> Array:
    """Total weight times the square of the unit that residuals are counted in, shape (batch,) or (1,)."""
    unit = np.ones_like(y) if objective.scale == "log" else np.abs(y)
    if objective.errors is not None:
        unit = unit / objective.errors
    return np.asarray((unit**2).mean(axis=1) * objective.weighted(weights).sum(axis=1))
