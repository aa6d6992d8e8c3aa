"""Alabdulmohsin et al. (2022): learning curves of 36 image tasks, fitted to their beginning and carried on.

The benchmark marks the points to fit; the others judge, by the root mean square error of log y. The mark to
beat is the broken law of one break, always, by a plain fit from many starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.fitting import extrapolate
from scalescope.points import Array, Finding
from scalescope.points.tables import Table
from scalescope.reproductions.result import Reproduction, Row, at_most, between
from scalescope.reproductions.sources import data_folder, numbers, open_table, words

TABLE = "curves/image_tasks.csv"
ORIGIN = "https://github.com/google-research/google-research/tree/master/revisiting_neural_scaling_laws"
BROKEN = 0.0374
"""Geometric mean of the error over the tasks, broken law always."""
PRINTED = {"M1": 0.1054, "M2": 0.0776, "M3": 0.0624, "M4": 0.0451}
COVERED = (85.0, 95.0)
"""Percent of the held-out points that a 90% interval should hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One task carried on."""

    error: float
    """Root mean square of log predicted over measured."""
    held: npt.NDArray[np.bool_]
    """Which held-out points lie inside the interval."""


def reproduce(data: str | Path | None) -> Reproduction:
    """Extrapolate every task and compare errors and coverage."""
    table = open_table(data_folder(data), TABLE, ORIGIN)
    judged = [_judge(*curve) for curve in _curves(table)]
    errors = np.array([one.error for one in judged])
    pooled = 100 * float(np.concatenate([one.held for one in judged]).mean())
    each = 100 * float(np.mean([one.held.mean() for one in judged]))
    return Reproduction(
        name="curves",
        title=f"{len(judged)} learning curves extrapolated",
        source="https://arxiv.org/abs/2209.06640",
        rows=(
            Row(what="tasks", published="36", ours=str(len(judged)), holds=len(judged) == 36),
            at_most("geometric mean RMSLE", BROKEN, float(np.exp(np.log(errors).mean())), 3),
            between("points inside the 90% interval, percent", *COVERED, pooled, 3),
            between("the same, mean over tasks", *COVERED, each, 3),
        ),
        findings=(
            Finding(
                code="REP010",
                text="Single forms, always: "
                + ", ".join(f"{name} {error:.4f}" for name, error in PRINTED.items())
                + f", broken law {BROKEN:.4f}.",
                hint="Their authors' M1 to M4, and a plain fit of the broken law with one break.",
            ),
        ),
    )


def _curves(table: Table) -> list[tuple[Array, Array, Array, Array]]:
    """Each task: x and y to fit, x and y to judge."""
    task, model = words(table, "Task"), words(table, "Model")
    x, y = numbers(table, "Seen Examples"), numbers(table, "Loss")
    fitted = numbers(table, "Training") == 1
    key = np.char.add(np.char.add(task, " "), model)
    curves = []
    for name in dict.fromkeys(key.tolist()):
        own = key == name
        first, rest = own & fitted, own & ~fitted
        curves.append((x[first], y[first], x[rest], y[rest]))
    return curves


def _judge(x: Array, y: Array, at: Array, measured: Array) -> _Judged:
    found = extrapolate(x, y, at=at)
    log_error = np.log(found.value) - np.log(measured)
    return _Judged(
        error=float(np.sqrt((log_error**2).mean())),
        held=(found.low <= measured) & (measured <= found.high),
    )
