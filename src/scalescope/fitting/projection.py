r"""Variable projection: where a law is linear in some coefficients, these are solved for, not searched.

For given non-linear coefficients the best linear ones are a least-squares problem, with those that are scales
kept from going below zero (Golub & Pereyra 1973, https://doi.org/10.1137/0710036). So a grid of starts is
only as large as its non-linear part, and a squared objective has only the non-linear coefficients left to
search: two instead of five for the Chinchilla law, in a far better conditioned space (`conditioning`).

On the logarithmic scale the linear coefficients are those of the relative residuals, which are the
logarithmic ones as far as both are small; there and for other penalties they make starts, and the search goes
on with all coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from scalescope.fitting.descent import Task, descend
from scalescope.fitting.objective import Local, Objective
from scalescope.fitting.solver import Solution, minimise
from scalescope.fitting.systems import solve_systems
from scalescope.points import Array

SAME = 1e-9
"""Starts whose non-linear coordinates differ by less are one."""
LEAST = 1e-3
"""A scale that would be zero starts at this share of what would carry the whole target alone."""
MOST_SIGNS = 8
"""Scales, at most, whose signs are searched one by one; beyond, negative ones are set to zero."""
STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """Largest over smallest eigenvalue of the curvature of a least-squares objective at one point."""

    full: float
    """In all coefficients, natural units."""
    projected: float
    """In the non-linear ones alone, the linear ones solved for."""


def linear_places(objective: Objective) -> list[int]:
    """Positions of the coefficients to solve for: linear, and neither fixed, tied nor with a prior."""
    restraints = objective.restraints
    held = {name for group in restraints.tied for name in group} | {*restraints.fixed, *restraints.priors}
    return list(objective.law.place(*(name for name in objective.law.linear if name not in held)))


def collapse(objective: Objective, starts: Array, y: Array, weights: Array) -> Array:
    """Reduce starts to their distinct non-linear parts, with the linear coefficients solved for.

    Parameters
    ----------
    objective
        Law, variables and criterion.
    starts
        Fitted coordinates, shape (n_starts, k).
    y, weights
        Shape (n,), y as `Objective.transform` gives it.

    Returns
    -------
    Array
        Fitted coordinates inside the limits, shape (n_distinct, k).
    """
    low, high = objective.coordinates.limits()
    starts = objective.coordinates.expanded(np.clip(objective.coordinates.reduced(starts), low, high))
    starts = starts[np.isfinite(starts).all(axis=1)]
    places = linear_places(objective)
    other = [place for place in range(starts.shape[1]) if place not in places]
    _, first = np.unique(np.round(starts[:, other] / SAME), axis=0, return_index=True)
    distinct = starts[np.sort(first)] if other else starts[:1]
    if not places or not len(distinct):
        return distinct
    solved = _Linear.at(objective, distinct, y, weights)
    theta = objective.natural(distinct)
    positive = objective.coordinates.logged[places]
    with np.errstate(all="ignore"):
        least = LEAST * solved.alone
    value = np.where(positive & (solved.value < least), least, solved.value)
    good = np.isfinite(value).all(axis=1)
    theta[np.ix_(np.flatnonzero(good), np.array(places))] = value[good]
    return objective.coordinates.expanded(
        np.clip(objective.coordinates.reduced(objective.fitted(theta)), low, high)
    )


def minimise_projected(objective: Objective, starts: Array, y: Array, weights: Array) -> Solution:
    """Minimise a squared objective in the non-linear coefficients alone, then check it in all of them.

    Parameters
    ----------
    objective
        With the squared penalty, on raw values, symmetric.
    starts
        Fitted coordinates, shape (n_starts, k).
    y, weights
        Shape (1, n).
    """
    places = linear_places(objective)
    other = np.array([place for place in range(starts.shape[1]) if place not in places], dtype=np.intp)
    phi = starts
    if other.size:
        low, high = (np.tile(limit[other], (len(starts), 1)) for limit in objective.bounds())
        task = Task(
            model=_Projected(objective=objective, places=places, other=other),
            y=y,
            weights=weights,
            low=low,
            high=high,
            delta=np.inf,
            smallest=np.zeros(len(starts)),
            reach=np.where(objective.coordinates.logged[other], 3.0, np.inf),
        )
        state = descend(
            task,
            np.clip(starts[:, other], low, high),
            damping=1.0,
            tolerance=1e-12,
            max_iterations=STEPS,
        )
        phi = starts.copy()
        phi[:, other] = state.u
    theta = objective.natural(phi)
    solved = _Linear.at(objective, phi, y[0], weights[0])
    usable = np.isfinite(solved.value).all(axis=1)
    theta[np.ix_(np.flatnonzero(usable), np.array(places))] = solved.value[usable]
    return minimise(objective, objective.fitted(theta), y, weights, tolerance=1e-14, near=True)


def projects_exactly(objective: Objective) -> bool:
    """Whether solving for the linear coefficients minimises the objective itself."""
    criterion, coordinates = objective.criterion, objective.coordinates
    return (
        criterion.penalty == "squared"
        and objective.scale == "raw"
        and criterion.below == 0.5
        and not coordinates.tied
        and bool(linear_places(objective))
        and not set(objective.restraints.bounds) & set(objective.law.linear)
    )


def conditioning(objective: Objective, phi: Array, weights: Array | None = None) -> Conditioning:
    """How much easier the search is without the linear coefficients, at one point of shape (k,)."""
    natural = objective.natural(phi[None])[0]
    scale = np.where(objective.coordinates.logged, natural, 1.0)
    root = np.sqrt(objective.weighted(np.ones(objective.n_runs) if weights is None else weights))
    if objective.errors is not None:
        root = root / objective.errors
    jacobian = objective.jacobian(phi[None])[0] / scale[:, None] * root
    places = linear_places(objective)
    other = [place for place in range(len(phi)) if place not in places]
    basis = np.linalg.qr(jacobian[places].T)[0] if places else np.zeros((jacobian.shape[1], 0))
    left = jacobian[other] - (jacobian[other] @ basis) @ basis.T
    return Conditioning(full=_condition(jacobian), projected=_condition(left) if other else 1.0)


def _condition(jacobian: Array) -> float:
    sizes = np.linalg.svd(jacobian, compute_uv=False)
    return float((sizes[0] / sizes[-1]) ** 2) if sizes[-1] > 0 else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """The best linear coefficients at every row of a batch."""

    value: Array
    """Natural units, shape (batch, q); nan where there are none."""
    alone: Array
    """What each would be if it had to carry the mean target alone, shape (batch, q)."""
    basis: Array
    """Weighted derivatives by them, shape (batch, q, n)."""
    wanted: Array
    """Weighted target, less what does not depend on them, shape (batch, n)."""

    @classmethod
    def at(cls, objective: Objective, phi: Array, y: Array, weights: Array) -> _Linear:
        places = linear_places(objective)
        theta = objective.natural(phi)
        zeroed = theta.copy()
        zeroed[:, places] = 0.0
        with np.errstate(all="ignore"):
            target = np.exp(y) if objective.scale == "log" else y
            unit = np.sqrt(objective.weighted(weights))
            unit = unit / np.abs(target) if objective.scale == "log" else unit
            unit = unit if objective.errors is None else unit / objective.errors
            constant = objective.law.value(zeroed.T[:, :, None], **objective.x)
            wanted = (target - np.where(np.isfinite(constant), constant, 0.0)) * unit
            slopes = objective.law.gradient(theta.T[:, :, None], **objective.x)[places]
            basis = np.moveaxis(slopes, 0, 1) * unit
            size = np.sqrt((basis**2).mean(axis=2))
            alone = np.abs(wanted).mean(axis=1)[:, None] / size
            value = (
                _nonnegative(basis / size[:, :, None], wanted, objective.coordinates.logged[places]) / size
            )
        return cls(value=value, alone=alone, basis=basis, wanted=wanted)


def _nonnegative(basis: Array, wanted: Array, positive: npt.NDArray[np.bool_]) -> Array:
    """Least squares with some coefficients not below zero, by trying which of them are zero.

    `basis` has shape (batch, q, n) with columns of size one, `wanted` (batch, n), `positive` (q,).
    """
    batch, q, _ = basis.shape
    gram = basis @ np.swapaxes(basis, 1, 2)
    right = (basis @ wanted[:, :, None])[:, :, 0]
    usable = np.asarray(np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(right).all(axis=1))
    best, value = np.full(batch, np.inf), np.full((batch, q), np.nan)
    scales = np.flatnonzero(positive)
    choices = (
        product((True, False), repeat=len(scales)) if len(scales) <= MOST_SIGNS else [(True,) * len(scales)]
    )
    for choice in choices:
        kept: npt.NDArray[np.bool_] = np.ones(q, dtype=np.bool_)
        kept[scales] = choice
        some = np.zeros((batch, q))
        if kept.any():
            inner = np.where(usable[:, None, None], gram[:, kept][:, :, kept], np.eye(int(kept.sum())))
            some[:, kept] = solve_systems(inner, np.where(usable[:, None], right[:, kept], 0.0))
        if len(scales) > MOST_SIGNS:
            some[:, scales] = np.maximum(some[:, scales], 0.0)
        squares = np.einsum("bi,bij,bj->b", some, gram, some) - 2 * np.einsum("bi,bi->b", some, right)
        better = usable & (some[:, scales] >= 0).all(axis=1) & (squares < best)
        best[better], value[better] = squares[better], some[better]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projected:
    """A squared objective as a function of its non-linear coordinates."""

    objective: Objective
    places: list[int]
    other: npt.NDArray[np.intp]

    def local(self, u: Array, y: Array, weights: Array, mix: Array, delta: Array | float) -> Local:
        """Value, gradient and (Kaufman's) curvature; `mix` and `delta` have no meaning here."""
        del mix, delta
        objective, places, other = self.objective, self.places, self.other
        phi = np.zeros((len(u), len(places) + len(other)))
        phi[:, other] = u
        phi[:, places] = objective.fitted(objective.law.examples)[places]
        solved = _Linear.at(objective, phi, y[0], weights[0])
        theta = objective.natural(phi)
        theta[:, places] = solved.value
        unit = np.sqrt(objective.weighted(weights))
        unit = unit if objective.errors is None else unit / objective.errors
        with np.errstate(all="ignore"):
            slopes = (
                np.moveaxis(objective.law.gradient(theta.T[:, :, None], **objective.x), 0, 1)[:, other] * unit
            )
            slopes *= np.where(objective.coordinates.logged, theta, 1.0)[:, other, None]
            left = solved.wanted - np.einsum("bqn,bq->bn", solved.basis, solved.value)
            used = solved.basis * (solved.value != 0)[:, :, None]
            gram = used @ np.swapaxes(used, 1, 2)
            mixed = used @ np.swapaxes(slopes, 1, 2)
            good = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(mixed).all(axis=(1, 2))
            gram, mixed = np.where(good[:, None, None], gram, 0.0), np.where(good[:, None, None], mixed, 0.0)
            taken = np.linalg.pinv(gram, rcond=1e-13, hermitian=True) @ mixed
            curvature = slopes @ np.swapaxes(slopes, 1, 2) - np.swapaxes(mixed, 1, 2) @ taken
            value = 0.5 * np.einsum("bn,bn->b", left, left)
            downhill = np.einsum("bpn,bn->bp", slopes, left)
        local = Local(value, downhill, curvature)
        usable = (
            np.isfinite(value) & np.isfinite(downhill).all(axis=1) & np.isfinite(curvature).all(axis=(1, 2))
        )
        return local._replace(value=np.where(usable, value, np.inf))
