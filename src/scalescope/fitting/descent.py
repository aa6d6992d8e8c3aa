r"""Downhill in a batch: the loop that every fit and every resample runs through.

Gauss and Newton's method, steered by one number :math:`\mu` a problem. The curvature of a Huber objective
comes from the runs inside its quadratic zone only, which can be fewer than the coefficients; the weights
:math:`\delta/|r|` of iteratively re-weighted least squares stand in for the others in proportion
:math:`\min(\mu, 1)`, and a ridge of :math:`10^{-3}\mu^2` bends the step downhill. So :math:`\mu \ge 1` is the
sure, slow method, and :math:`\mu \to 0` Newton's, with its quick end. The ridge stays small: a scaling law
lies in a long valley across its coordinates, and along a valley a ridge is what stops a step.

A step is kept only where it lowers the objective; after one that does not, the curvature is raised to what a
parabola through the two values asks for. Coordinates at a bound that the gradient pushes against are left out
of a step (Bertsekas 1982, https://doi.org/10.1137/0320018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scalescope.fitting.objective import Local
from scalescope.fitting.systems import solve_systems
from scalescope.points import Array

CHUNK = 12_000
"""Problems times runs handled at once, so that a batch stays in the cache and memory stays bounded."""
RIDGE = 1e-3
EASE, STIFFEN = 0.2, 3.0
"""What mu is multiplied by after a step that was kept, and after one that was not."""
STIFFEST = 10.0
LATE = 12
"""Steps after which curvature is also learnt from the change of the gradient: with fewer runs in the
quadratic zone than coefficients, only the second derivatives of the law curve the bottom of the valley."""
SHRINK, GROW = 0.8, 3.0
"""Longest step of a scale that moves as itself, as a share of it."""
REACH = 3.0
"""Longest step of a logarithm: a factor of twenty."""

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


class Model(Protocol):
    """What `descend` minimises."""

    def local(self, u: Array, y: Array, weights: Array, mix: Array, delta: Array | float) -> Local:
        """Value and derivatives at the points of a batch; see `Objective.local`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A batch of problems on one model."""

    model: Model
    y: Array
    """Shape (batch, n), or (1, n) where all share it; on the scale of the residuals."""
    weights: Array
    """Shape (batch, n) or (1, n)."""
    low: Array
    """Limits in free coordinates, shape (batch, m)."""
    high: Array
    delta: Array | float
    """Where the penalty turns linear, a number or of shape (batch, 1)."""
    smallest: Array
    """Objective below which nothing more is gained, shape (batch,)."""
    numbers: Flags | bool = False
    """Coordinates that are scales themselves, not their logarithms, shape (m,)."""
    together: int = 1
    """Problems, at least, that are handed to the model at once."""
    reach: Array | float = np.inf
    """Longest step in each coordinate, shape (m,)."""

    def evaluate(self, u: Array, rows: Indices, mu: Array) -> Local:
        """Evaluate some problems, a chunk at a time."""
        parts = [self.model.local(u[part], *self._given(rows, mu, part)) for part in self._parts(len(u))]
        if len(parts) == 1:
            return parts[0]
        return Local(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _parts(self, n: int) -> list[slice]:
        size = max(self.together, CHUNK // self.y.shape[-1])
        return [slice(at, at + size) for at in range(0, max(n, 1), size)]

    def _given(self, rows: Indices, mu: Array, part: slice) -> tuple[Array, Array, Array, Array | float]:
        some = rows[part]
        y = self.y if len(self.y) == 1 else self.y[some]
        weights = self.weights if len(self.weights) == 1 else self.weights[some]
        delta = self.delta[some] if isinstance(self.delta, np.ndarray) else self.delta
        return y, weights, np.minimum(mu[part], 1.0)[:, None], delta


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where every problem of a batch stands; its arrays are changed in place."""

    u: Array
    """Free coordinates, shape (batch, m)."""
    value: Array
    downhill: Array
    curvature: Array
    mu: Array
    first: Array
    """Objective at the start, shape (batch,)."""
    converged: Flags
    steps: Indices
    """Evaluations of each problem, shape (batch,)."""

    def move(self, rows: Indices, u: Array, local: Local, which: Flags) -> None:
        """Put the chosen ones of some problems at other points."""
        there = rows[which]
        self.u[there] = u[which]
        for name in Local._fields:
            getattr(self, name)[there] = getattr(local, name)[which]


def descend(task: Task, start: Array, *, damping: float, tolerance: float, max_iterations: int) -> State:
    """Minimise every problem of a task from its start, shape (batch, m), inside the limits.

    A problem ends when a step promised and gained less than `tolerance` of its objective, or at
    `max_iterations`; `damping` is the first mu.
    """
    _keep_blocks()
    batch = len(start)
    rows = np.arange(batch)
    mu = np.full(batch, damping)
    local = task.evaluate(start, rows, mu)
    state = State(
        u=start.copy(),
        first=local.value.copy(),
        mu=mu,
        converged=np.zeros(batch, dtype=bool),
        steps=np.ones(batch, dtype=np.intp),
        **local._asdict(),
    )
    active = np.flatnonzero(np.isfinite(state.value))
    for turn in range(max_iterations):
        if not active.size:
            break
        step, slope, promise = _step(task, state, active)
        trial, eased = state.u[active] + step, np.maximum(EASE * state.mu[active], 1e-9)
        new = task.evaluate(trial, active, eased)
        gain = state.value[active] - new.value
        least = tolerance * (state.value + task.smallest)[active]
        better = gain > 0
        done = (promise <= least) & (gain <= least) & (state.mu[active] <= 0.3)
        done = np.where(better, done, np.abs(promise) <= 1e-3 * least)
        with np.errstate(all="ignore"):
            share = slope / (2 * (slope - gain))
        if turn >= LATE:
            _add_secant(new.curvature, step, state.downhill[active] - new.downhill)
        failed = active[~better]
        share = np.where(np.isfinite(share), np.clip(share, 0.1, 0.5), 0.1)[~better]
        state.curvature[failed] /= share[:, None, None]
        state.mu[failed] = np.minimum(STIFFEN * state.mu[failed], STIFFEST)
        state.mu[active[better]] = eased[better]
        state.move(active, trial, new, better)
        state.steps[active] += 1
        state.converged[active] = done
        active = active[~done]
    return state


def _step(task: Task, state: State, rows: Indices) -> tuple[Array, Array, Array]:
    """One damped step inside the limits, its slope, and what it promises to gain."""
    u, downhill, system = state.u[rows], state.downhill[rows], state.curvature[rows]
    low, high = task.low[rows], task.high[rows]
    diagonal = np.arange(u.shape[1])
    system[:, diagonal, diagonal] *= 1 + RIDGE * state.mu[rows][:, None] ** 2
    stuck = held_at_bound(u, downhill, low, high)
    if stuck.any():
        system[stuck[:, :, None] | stuck[:, None, :]] = 0.0
        system[:, diagonal, diagonal] = np.where(stuck, 1.0, system[:, diagonal, diagonal])
        downhill = np.where(stuck, 0.0, downhill)
    step = solve_systems(system, downhill)
    least = np.maximum(low - u, np.where(task.numbers, -SHRINK * np.abs(u), -np.inf))
    most = np.minimum(high - u, np.where(task.numbers, GROW * np.abs(u), np.inf))
    crossing = np.flatnonzero(((step < least) | (step > most)).any(axis=1))
    if crossing.size:
        step[crossing] = _inside(
            system[crossing], downhill[crossing], step[crossing], least[crossing], most[crossing]
        )
    step /= np.maximum((np.abs(step) / task.reach).max(axis=1), 1.0)[:, None]
    slope = np.einsum("bm,bm->b", downhill, step)
    bend = np.einsum("bm,bm->b", (system @ step[:, :, None])[:, :, 0], step)
    return step, slope, slope - 0.5 * bend


def _inside(system: Array, downhill: Array, step: Array, least: Array, most: Array) -> Array:
    """Shorten steps to the first limit that they meet; coordinates that are at one already do not move.

    Going on along the limit at once would be a longer step, but far from the optimum it ends at corners where
    a term of the law has vanished for good.
    """
    diagonal = np.arange(step.shape[1])
    held = np.zeros(step.shape, dtype=np.bool_)
    for _ in diagonal:
        at_limit = ((least >= 0) & (step < 0)) | ((most <= 0) & (step > 0))
        if not (at_limit & ~held).any():
            break
        held |= at_limit
        inner = np.where(held[:, :, None] | held[:, None, :], 0.0, system)
        inner[:, diagonal, diagonal] = np.where(held, 1.0, system[:, diagonal, diagonal])
        step = solve_systems(inner, np.where(held, 0.0, downhill))
    with np.errstate(all="ignore"):
        share = np.where(step > 0, most / step, np.where(step < 0, least / step, 1.0)).min(axis=1)
    return np.asarray(np.clip(step * np.clip(share, 0.0, 1.0)[:, None], least, most))


def _add_secant(curvature: Array, step: Array, change: Array) -> None:
    """Add to curvatures what the change of the gradient along a step shows above them, by rank one."""
    # Where a derivative is no float there is nothing to add.
    with np.errstate(all="ignore"):
        above = change - (curvature @ step[:, :, None])[:, :, 0]
        along = np.einsum("bm,bm->b", above, step)
        use = np.isfinite(above).all(axis=1) & (along > 1e-8 * np.abs(np.einsum("bm,bm->b", change, step)))
    above = above[use] / np.sqrt(along[use])[:, None]
    curvature[use] += above[:, :, None] * above[:, None, :]


def held_at_bound(phi: Array, downhill: Array, low: Array, high: Array) -> Flags:
    """Whether a coordinate sits at a bound and would not leave it if it could."""
    return ((phi <= low) & (downhill <= 0)) | ((phi >= high) & (downhill >= 0))


def _keep_blocks() -> None:
    """Free one large block that was never touched.

    The GNU C library then serves blocks below its size from memory that it keeps. Otherwise it maps the
    arrays of every evaluation anew and the kernel zeroes their pages, which took half the time of a fit.
    """
    np.empty(1 << 21)
