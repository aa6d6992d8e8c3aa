r"""The parametric method: one law through all runs, from many starts, with a certificate.

The Huber threshold :math:`\delta = 10^{-3}` in log loss is the convention of Hoffmann et al. (2022) and of
those who re-fitted them. On small noisy grids, with noise near :math:`10^{-2}`, nearly every residual is
beyond it and the objective is a sum of absolute residuals: robust, but wasteful where noise is normal.
`benchmarks/coverage.py` compares it with :math:`10^{-2}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from scalescope.errors import FitError
from scalescope.fitting.certificate import certify
from scalescope.fitting.newton import newton
from scalescope.fitting.objective import Objective
from scalescope.fitting.projection import collapse, minimise_projected, projects_exactly
from scalescope.fitting.result import Certificate
from scalescope.fitting.solver import Solution, gradient_norm, minimise, polish
from scalescope.points import Array

WARM = 3
"""Distinct optima, at most, from which every resample starts."""
ROUNDING = 1e-16
"""Objective a run that is beyond rounding of the losses."""
SAMPLE = 2_000
"""Runs, at most, that starts are tried on; the best ends then go on with all of them."""
ELSEWHERE = 9
"""Starts that a few resamples are also solved from."""
FIRST, SECOND, ENDS = 40, 60, 60
"""Most steps of every start, of those that then go on, and of the best end."""
SETTLED = 1e-9
"""Relative gradient of an optimum that needs no more steps."""
ROUGH = 1e-9
"""Share of the objective that a start's last step gains at most."""
GO_ON = 8
"""Starts, at least, that go on where they have not arrived; else the better half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where a parametric fit ended."""

    theta: Array
    """Natural units, shape (k,)."""
    objective: float
    certificate: Certificate
    relative_gradient: float
    warm: Array
    """Fitted coordinates of the few best distinct optima, the best first, shape (n, k)."""
    starts: Array = field(repr=False)
    """Distinct starts in fitted coordinates, at most `ELSEWHERE`, spread over those that were followed."""
    settled: Objective = field(repr=False)
    """What was minimised, with the unit of its priors settled; what resamples minimise too."""


def find_optimum(objective: Objective, target: Array, *, starts: Array | None = None) -> Optimum:
    """Minimise from every start and certify the best end.

    Parameters
    ----------
    objective
        Law, variables, criterion and restraints.
    target
        What the law predicts, in the unit of its column, shape (n,).
    starts
        Natural coefficients, shape (n_starts, k), instead of those of the law.

    Raises
    ------
    FitError
        If no start reached a finite objective.
    InputError
        If a logarithm is needed of a target that is not above zero.
    """
    y, w = objective.transform(target), np.ones(len(target))
    with np.errstate(all="ignore"):
        given = objective.fitted(objective.law.starts(target, **objective.x) if starts is None else starts)
    rows = _sampled(objective)
    tried = _rows_of(objective, rows)
    if _needs_noise(objective):
        free = replace(tried, restraints=replace(tried.restraints, priors={}))
        plain = _search(free, collapse(free, given, y[rows], w[rows]), y[rows], w[rows])
        objective = replace(objective, noise=noise_of(free, plain, y[rows], w[rows]))
        tried = replace(tried, noise=objective.noise)
    distinct = collapse(tried, given, y[rows], w[rows])
    search = _search(tried, distinct, y[rows], w[rows])
    whole = search if len(rows) == len(y) else minimise(objective, _separate(search), y[None], w[None])
    phi = _finished(objective, whole, y, w)
    norm, relative = gradient_norm(objective, phi, y, w)
    value = float(objective.total(phi[None], y[None], w[None])[0])
    exact = value <= ROUNDING * len(target)
    return Optimum(
        theta=objective.natural(phi[None])[0],
        objective=value,
        certificate=certify(
            objective,
            phi,
            y,
            starts=distinct,
            ends=search,
            n_given=len(given),
            n_rows=len(rows),
            gradient=(norm, 0.0 if exact else relative),
        ),
        relative_gradient=0.0 if exact else relative,
        warm=_warm(whole, phi),
        starts=distinct[np.unique(np.linspace(0, len(distinct) - 1, ELSEWHERE).astype(np.intp))],
        settled=objective,
    )


def noise_of(objective: Objective, solution: Solution, y: Array, weights: Array) -> float:
    """Measure the unit in which the penalties are minus a log-likelihood, from what the best end leaves over.

    Residuals with a normal density make it twice the objective a degree of freedom; beyond delta the density
    of a Huber penalty falls like that of Laplace, and it is once the objective.
    """
    best = solution.best()
    left = np.abs(objective.residuals(solution.phi[best][None], y)[0])
    penalty, delta = objective.criterion.penalty, objective.criterion.delta
    inside = {"squared": 1.0, "absolute": 0.0}.get(penalty, float((left <= delta).mean()))
    total = float(objective.weighted(weights).sum())
    freedom = total * max(1 - objective.coordinates.n_free / max(len(y), 1), 1 / max(len(y), 1))
    return float((1 + inside) * solution.objective[best] / freedom)


def _needs_noise(objective: Objective) -> bool:
    known = objective.errors is not None and objective.criterion.penalty == "squared"
    return bool(objective.restraints.priors) and not known


def _sampled(objective: Objective) -> npt.NDArray[np.intp]:
    """Rows that starts are tried on: all, or a fixed random sample. Points of a curve stay together."""
    n = objective.n_runs
    if n <= SAMPLE or any(one.column == "curve" for one in objective.law.variables.values()):
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:SAMPLE])


def _rows_of(objective: Objective, rows: npt.NDArray[np.intp]) -> Objective:
    if len(rows) == objective.n_runs:
        return objective
    errors, weights = (None if part is None else part[rows] for part in (objective.errors, objective.weights))
    x = {name: column[rows] for name, column in objective.x.items()}
    return replace(objective, x=x, errors=errors, weights=weights)


def _search(objective: Objective, starts: Array, y: Array, weights: Array) -> Solution:
    """Minimise from every start."""
    if projects_exactly(objective):
        solution = minimise_projected(objective, starts, y[None], weights[None])
    else:
        solution = _in_two_stages(objective, starts, y[None], weights[None])
    if not np.isfinite(solution.objective).any():
        raise FitError(
            f"{objective.law.name}: no start reached a finite objective",
            hint="Check the units of the table: parameters, tokens and nats per token.",
        )
    return solution


def _in_two_stages(objective: Objective, starts: Array, y: Array, weights: Array) -> Solution:
    """Follow every start some way, then the better half of those that have not arrived to their end.

    Starts in a hopeless valley would otherwise take most of the time. Setting out anew also forgets a damping
    that was needed farther away.
    """
    solution = minimise(objective, starts, y, weights, tolerance=ROUGH, max_iterations=FIRST)
    late = np.flatnonzero(~solution.converged & np.isfinite(solution.objective))
    if not late.size:
        return solution
    late = late[np.argsort(solution.objective[late], kind="stable")][: max(GO_ON, late.size // 2)]
    end = minimise(
        objective, solution.phi[late], y, weights, tolerance=ROUGH, max_iterations=SECOND, near=True
    )
    for name in ("phi", "objective", "converged"):
        getattr(solution, name)[late] = getattr(end, name)
    return replace(solution, evaluations=solution.evaluations + end.evaluations)


def _finished(objective: Objective, solution: Solution, y: Array, weights: Array) -> Array:
    """Go on from the best end until nothing more is gained."""
    phi: Array = solution.phi[solution.best()]
    if objective.criterion.penalty == "absolute":
        return phi
    last = minimise(
        objective, phi[None], y[None], weights[None], tolerance=1e-15, max_iterations=ENDS, near=True
    )
    phi = last.phi[0]
    for finish in (newton, polish):
        exact = last.objective[0] <= ROUNDING * len(y)
        if exact or gradient_norm(objective, phi, y, weights)[1] <= SETTLED:
            break
        phi = finish(objective, phi, y, weights)
    return phi


def _separate(solution: Solution) -> Array:
    """Return the best distinct ends of a search, at most twice as many as `WARM`."""
    kept: list[Array] = []
    for index in np.argsort(solution.objective, kind="stable"):
        if len(kept) == 2 * WARM or not np.isfinite(solution.objective[index]):
            break
        if all(float(np.abs(solution.phi[index] - other).max()) > 0.02 for other in kept):
            kept.append(solution.phi[index])
    return np.array(kept)


def _warm(solution: Solution, best: Array) -> Array:
    """Return the best optimum and up to two others within 10% of its objective, where they differ."""
    kept = [best]
    for index in np.argsort(solution.objective, kind="stable"):
        close = solution.objective[index] <= 1.1 * solution.objective.min() + 1e-12
        if len(kept) == WARM or not close:
            break
        if min(float(np.abs(solution.phi[index] - other).max()) for other in kept) > 0.02:
            kept.append(solution.phi[index])
    return np.array(kept)
