"""Solving elsewhere: an objective as plain values, and tasks run through an executor in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from scalescope.errors import WorkError
from scalescope.executors import JSON, Executor, Task
from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.objective import Objective
from scalescope.laws import get_law

ATTEMPTS = 3
"""Times that a task whose worker died is started."""


def objective_to_plain(objective: Objective) -> JSON:
    """Write an objective as JSON values; the law by its name."""
    return {
        "law": objective.law.name,
        "x": {name: column.tolist() for name, column in objective.x.items()},
        "criterion": msgspec.to_builtins(objective.criterion),
        "restraints": msgspec.to_builtins(objective.restraints),
        "errors": None if objective.errors is None else objective.errors.tolist(),
        "weights": None if objective.weights is None else objective.weights.tolist(),
        "noise": objective.noise,
    }


def objective_from_plain(plain: JSON) -> Objective:
    """Read what `objective_to_plain` wrote."""
    return Objective(
        law=get_law(plain["law"]),
        x={name: np.array(column, dtype=np.float64) for name, column in plain["x"].items()},
        criterion=msgspec.convert(plain["criterion"], Criterion),
        restraints=msgspec.convert(plain["restraints"], Restraints),
        errors=None if plain["errors"] is None else np.array(plain["errors"], dtype=np.float64),
        weights=None if plain["weights"] is None else np.array(plain["weights"], dtype=np.float64),
        noise=plain["noise"],
    )


def run_everywhere(executor: Executor, function: str, payloads: Sequence[JSON]) -> list[JSON]:
    """Run one function on every payload and return the results in order.

    Raises
    ------
    WorkError
        If a task failed, or its worker was lost three times.
    """
    tasks = {
        f"resample-{index}": Task(key=f"resample-{index}", function=function, payload=payload)
        for index, payload in enumerate(payloads)
    }
    left, done = dict.fromkeys(tasks, ATTEMPTS), dict[str, JSON]()
    for task in tasks.values():
        executor.submit(task)
    while len(done) < len(tasks):
        for event in executor.events(1.0):
            if event.key not in tasks:
                continue
            if event.kind == "done":
                done[event.key] = event.data
            elif event.kind in ("failed", "lost"):
                left[event.key] -= 1
                if event.kind == "failed" or not left[event.key]:
                    _cancel(executor, set(tasks) - set(done))
                    cause = event.data.get("cause", "no cause was given")
                    raise WorkError(f"resampling failed: {cause}", hint="Fit without an executor to see it.")
                executor.submit(tasks[event.key])
    return [done[key] for key in tasks]


def _cancel(executor: Executor, keys: set[str]) -> None:
    for key in keys:
        executor.cancel(key)
