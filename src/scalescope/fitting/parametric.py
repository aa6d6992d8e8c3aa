r"""The parametric method: one law through all runs, Huber loss of the log residuals, many starts.

The Huber threshold :math:`\delta = 10^{-3}` in log loss is the convention of Hoffmann et al. (2022) and of
those who re-fitted them. On small noisy grids, with noise near :math:`10^{-2}`, nearly every residual is
beyond it and the objective is a sum of absolute residuals: robust, but wasteful where noise is normal.
`benchmarks/coverage.py` compares it with :math:`10^{-2}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.errors import FitError
from scalescope.fitting.objective import Objective
from scalescope.fitting.result import Certificate
from scalescope.fitting.solver import Solution, gradient_norm, minimise, polish
from scalescope.points import Array

WARM = 3
"""Distinct optima, at most, from which every resample starts."""
ROUNDING = 1e-16
"""Objective a run that is beyond rounding of the losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where a parametric fit ended."""

    theta: Array
    objective: float
    certificate: Certificate
    relative_gradient: float
    warm: Array
    """Fitted coordinates of the few best distinct optima, the best first, shape (n, k)."""


def find_optimum(objective: Objective, target: Array) -> Optimum:
    """Minimise from every start of the law and certify the best.

    Raises
    ------
    FitError
        If no start reached a finite objective.
    """
    law, y, w = objective.law, np.log(target), np.ones(len(target))
    starts = objective.fitted(law.starts(target, **objective.x))
    solution = minimise(objective, starts, y[None], w[None])
    if not np.isfinite(solution.objective).any():
        raise FitError(
            f"{law.name}: no start reached a finite objective",
            hint="Check the units of the table: parameters, tokens and nats per token.",
        )
    phi = solution.phi[solution.best()]
    exact = solution.objective.min() <= ROUNDING * len(target)
    if not exact and gradient_norm(objective, phi, y, w)[1] > 1e-9:
        phi = polish(objective, phi, y, w)
    norm, relative = gradient_norm(objective, phi, y, w)
    value = float(objective.value(y - objective.log_loss(phi[None]), w[None])[0])
    reached = solution.objective <= value * (1 + 1e-6) + ROUNDING * len(target)
    return Optimum(
        theta=objective.natural(phi[None])[0],
        objective=value,
        certificate=Certificate(
            n_starts=len(starts),
            share_at_optimum=float(reached.mean()),
            gradient_norm=norm,
            at_bound=_at_bound(objective, phi),
        ),
        relative_gradient=0.0 if exact else relative,
        warm=_distinct(solution, phi),
    )


def _at_bound(objective: Objective, phi: Array) -> tuple[str, ...]:
    low, high = objective.bounds()
    tight = (phi - low <= 1e-9) | (high - phi <= 1e-9)
    return tuple(name for name, held in zip(objective.law.coefficients, tight, strict=True) if held)


def _distinct(solution: Solution, best: Array) -> Array:
    """Return the best optimum and up to two others within 10% of its objective, where they differ."""
    kept = [best]
    for index in np.argsort(solution.objective, kind="stable"):
        close = solution.objective[index] <= 1.1 * solution.objective.min() + 1e-12
        if len(kept) == WARM or not close:
            break
        if min(float(np.abs(solution.phi[index] - other).max()) for other in kept) > 0.02:
            kept.append(solution.phi[index])
    return np.array(kept)
