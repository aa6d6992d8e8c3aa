"""The last steps to an optimum: Newton's method with all second derivatives, for one problem.

What is minimised in batches (`descent`) leaves the second derivatives of the law out. At the bottom of a
valley along which the runs hardly say anything these are all the curvature there is, and such a search only
creeps. Here they are measured by differences of the gradient, which for one problem cost little.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from scalescope.fitting.descent import Task, held_at_bound
from scalescope.fitting.objective import Objective
from scalescope.points import Array

STEPS: Final = 40
DIFFERENCE: Final = 1e-5
"""Step of the differences: of a logarithm, or relative."""
SHARES: Final = 0.5 ** np.arange(12)
"""Shares of a step that are tried at once."""
FLAT: Final = 1e-12
"""Curvature, relative to the largest, below which a direction counts as flat."""


def newton(objective: Objective, phi: Array, y: Array, weights: Array) -> Array:
    """Refine one point; never worse than what came in.

    Parameters
    ----------
    objective
        With a Huber or a squared penalty.
    phi
        Fitted coordinates inside the limits, shape (k,).
    y, weights
        Shape (n,); y as `Objective.transform` gives it.
    """
    coordinates = objective.coordinates
    low, high = coordinates.limits()
    u = np.clip(coordinates.reduced(phi), low, high)
    delta = objective.criterion.delta if objective.criterion.penalty == "huber" else np.inf
    task = Task(
        model=objective,
        y=y[None],
        weights=weights[None],
        low=low,
        high=high,
        delta=delta,
        smallest=np.zeros(1),
    )
    value = np.inf
    for _ in range(STEPS):
        step = _full_step(task, u, coordinates.logs)
        if step is None:
            break
        trials = np.clip(u + SHARES[:, None] * step, low, high)
        tried = task.evaluate(trials, *_rows(len(trials))).value
        value = min(value, float(task.evaluate(u[None], *_rows(1)).value[0]))
        best = int(np.argmin(tried))
        if not tried[best] < value:
            break
        gained, u, value = value - tried[best], trials[best], float(tried[best])
        if gained <= 1e-16 * value:
            break
    return np.asarray(coordinates.expanded(u))


def _full_step(task: Task, u: Array, logs: npt.NDArray[np.bool_]) -> Array | None:
    """Newton's step in the coordinates that no limit holds; None where there is none."""
    here = task.evaluate(u[None], *_rows(1))
    downhill = here.downhill[0]
    free = np.flatnonzero(~held_at_bound(u, downhill, task.low, task.high) & (task.low < task.high))
    if not free.size or not np.isfinite(here.value[0]):
        return None
    width = DIFFERENCE * np.where(logs, 1.0, np.maximum(np.abs(u), DIFFERENCE))[free]
    shift = np.zeros((free.size, len(u)))
    shift[np.arange(free.size), free] = width
    around = task.evaluate(np.concatenate([u + shift, u - shift]), *_rows(2 * free.size)).downhill[:, free]
    hessian = (around[free.size :] - around[: free.size]) / (2 * width)[:, None]
    hessian = (hessian + hessian.T) / 2
    scale = 1 / np.sqrt(np.maximum(np.diag(here.curvature[0])[free], 1e-300))
    scaled = hessian * scale[:, None] * scale[None, :]
    if not np.isfinite(scaled).all():
        return None
    sizes, directions = np.linalg.eigh(scaled)
    sizes = np.maximum(np.abs(sizes), FLAT * np.abs(sizes).max())
    step = np.zeros_like(u)
    step[free] = scale * (directions @ (directions.T @ (downhill[free] * scale) / sizes))
    return step if np.isfinite(step).all() else None


def _rows(n: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Index every point to the one problem, and ask for curvature without a stand-in beyond delta."""
    return np.zeros(n, dtype=np.intp), np.zeros(n)
