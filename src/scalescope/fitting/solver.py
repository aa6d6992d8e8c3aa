r"""A batched minimiser: every start and every resample of a fit at once, in numpy alone.

Newton's method on the Huber objective, damped in two ways that one number :math:`\mu` a problem steers.
The curvature of the objective comes from the runs inside the quadratic zone only, which can be fewer than
the coefficients; the weights :math:`\delta/|r|` of iteratively re-weighted least squares stand in for the
others in proportion :math:`\min(\mu, 1)`, and a ridge of :math:`10^{-2}\mu^2` bends the step downhill. So
:math:`\mu \ge 1` is the sure, slow method, and :math:`\mu \to 0` Newton's, with its quick end.

A step is kept only where it lowers the objective. Coordinates at a bound that the gradient pushes against
are left out of it (Bertsekas 1982, https://doi.org/10.1137/0320018). Convergence is judged relatively:
it does not depend on the unit of the loss, on the number of runs or on the size of the noise, down to
residuals that are rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.fitting.objective import Objective
from scalescope.points import Array

CHUNK = 40_000
"""Problems times runs handled at once, so that a batch stays in the cache and memory stays bounded."""
ROUNDING = 1e-12
"""Objective a run below which nothing more is gained: log residuals of a millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Where each problem of a batch ended."""

    phi: Array
    """Fitted coordinates, shape (batch, k)."""
    objective: Array
    """Shape (batch,); inf where no finite value was ever reached."""

    def best(self) -> int:
        """Index of the lowest objective."""
        return int(np.argmin(self.objective))


def minimise(
    objective: Objective,
    starts: Array,
    log_loss: Array,
    weights: Array,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
) -> Solution:
    """Minimise from every start, each problem with its own runs' losses and weights.

    Parameters
    ----------
    objective
        Law, variables and delta, common to all problems.
    starts
        Fitted coordinates, shape (batch, k); clipped into the bounds.
    log_loss, weights
        Shape (batch, n), or (1, n) where all problems share them.
    tolerance
        A problem ends after eight steps in a row that each lower its objective by less than this share.
    max_iterations
        Limit for each problem; a problem that reaches it is returned as it stands.
    """
    batch, n = len(starts), log_loss.shape[-1]
    log_loss, weights = (np.broadcast_to(array, (batch, n)) for array in (log_loss, weights))
    step = max(1, CHUNK // n)
    parts = [
        _minimise_chunk(
            objective,
            starts[at : at + step],
            log_loss[at : at + step],
            weights[at : at + step],
            tolerance,
            max_iterations,
        )
        for at in range(0, max(batch, 1), step)
    ]
    return Solution(
        phi=np.concatenate([part.phi for part in parts]),
        objective=np.concatenate([part.objective for part in parts]),
    )


def _minimise_chunk(
    objective: Objective, starts: Array, y: Array, w: Array, tolerance: float, max_iterations: int
) -> Solution:
    low, high = objective.bounds()
    phi = np.clip(starts, low, high)
    residuals = y - objective.log_loss(phi)
    value = objective.value(residuals, w)
    damping = np.ones(len(phi))
    slow = np.zeros(len(phi), dtype=np.int64)
    rounding = ROUNDING * w.sum(axis=1)
    active = np.flatnonzero(np.isfinite(value))
    for _ in range(max_iterations):
        if not active.size:
            break
        trial = _step(objective, phi[active], residuals[active], w[active], damping[active])
        trial_residuals = y[active] - objective.log_loss(trial)
        trial_value = objective.value(trial_residuals, w[active])
        better = trial_value < value[active]
        gain = np.where(better, value[active] - trial_value, 0.0)
        won = active[better]
        slow[active] = np.where(gain > tolerance * (value + rounding)[active], 0, slow[active] + 1)
        phi[won], residuals[won], value[won] = trial[better], trial_residuals[better], trial_value[better]
        damping[active] = np.clip(np.where(better, 0.3, 5.0) * damping[active], 1e-9, 1e9)
        active = active[slow[active] < 8]
    return Solution(phi=phi, objective=value)


def _step(objective: Objective, phi: Array, residuals: Array, w: Array, damping: Array) -> Array:
    """One damped Newton step inside the bounds, shape (batch, k)."""
    low, high = objective.bounds()
    jacobian = objective.jacobian(phi)
    pull = objective.pull(residuals)
    downhill = np.einsum("bkn,bn->bk", jacobian, w * pull * residuals)
    stuck = held_at_bound(phi, downhill, low, high)
    inside = (np.abs(residuals) <= objective.criterion.delta).astype(np.float64)
    curvature = w * (inside + np.minimum(damping, 1.0)[:, None] * pull)
    hessian = (jacobian * curvature[:, None, :]) @ np.swapaxes(jacobian, 1, 2)
    safe = np.einsum("bkn,bn->bk", jacobian**2, w * pull)
    ridge = (1e-2 * damping**2)[:, None] * safe + 1e-14 * safe.max(axis=1, keepdims=True) + 1e-300
    hessian[stuck[:, :, None] | stuck[:, None, :]] = 0.0
    diagonal = np.arange(phi.shape[1])
    hessian[:, diagonal, diagonal] = np.where(stuck, 1.0, hessian[:, diagonal, diagonal] + ridge)
    return np.clip(phi + _solve(hessian, np.where(stuck, 0.0, downhill)), low, high)


def _solve(hessian: Array, downhill: Array) -> Array:
    """Solve every small system after scaling its diagonal to one; a hopeless one gives no step."""
    scale = 1 / np.sqrt(np.maximum(np.einsum("bkk->bk", hessian), 1e-300))
    scaled = hessian * scale[:, :, None] * scale[:, None, :]
    usable = np.isfinite(scaled).all(axis=(1, 2)) & np.isfinite(downhill).all(axis=1)
    scaled[~usable] = np.eye(hessian.shape[1])
    # Keeps exactly singular systems solvable; far below any curvature that counts.
    scaled += 1e-13 * np.eye(hessian.shape[1])
    right = np.where(usable[:, None], downhill * scale, 0.0)
    with np.errstate(all="ignore"):
        step = np.linalg.solve(scaled, right[:, :, None])[:, :, 0] * scale
    return np.where(np.isfinite(step) & usable[:, None], step, 0.0)


def held_at_bound(phi: Array, downhill: Array, low: Array, high: Array) -> npt.NDArray[np.bool_]:
    """Whether a coordinate sits at a bound and would leave it if it could."""
    return ((phi <= low) & (downhill < 0)) | ((phi >= high) & (downhill > 0))


def gradient_norm(objective: Objective, phi: Array, log_loss: Array, weights: Array) -> tuple[float, float]:
    """Norm of the objective's gradient at one point, without what a bound holds; alone and relative.

    The relative norm is against the norm of the same sum with every term taken positive: it says which share
    of the runs' pulls does not cancel.
    """
    low, high = objective.bounds()
    at = phi[None, :]
    residuals = log_loss - objective.log_loss(at)[0]
    pulls = objective.jacobian(at)[0] * (weights * objective.pull(residuals) * residuals)
    downhill = pulls.sum(axis=1)
    free = ~held_at_bound(phi, downhill, low, high)
    norm = float(np.linalg.norm(downhill[free]))
    whole = float(np.linalg.norm(np.abs(pulls).sum(axis=1)[free]))
    return norm, norm / whole if whole > 0 else 0.0


def polish(objective: Objective, phi: Array, log_loss: Array, weights: Array) -> Array:
    """Refine one optimum with scipy's L-BFGS-B, then Newton steps; never worse than what came in."""
    from scipy.optimize import Bounds, minimize

    low, high = objective.bounds()

    def value_and_slope(point: Array) -> tuple[float, Array]:
        at = point[None, :]
        residuals = log_loss - objective.log_loss(at)[0]
        value = float(objective.value(residuals[None], weights[None])[0])
        pulls = objective.jacobian(at)[0] @ (weights * objective.pull(residuals) * residuals)
        # The objective is a small number; in units of its value at the start the line search sees it well.
        return value / unit, -pulls / unit

    unit = 1.0
    unit = max(value_and_slope(phi)[0], 1e-300)
    found = minimize(
        value_and_slope,
        phi,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(low, high),
        options={"maxiter": 300, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 30},
    )
    candidates = np.stack([phi, np.asarray(found.x, dtype=np.float64)])
    solution = minimise(objective, candidates, log_loss[None], weights[None], tolerance=1e-15)
    return np.asarray(solution.phi[solution.best()])
