"""How fast the machine at hand trains, and how many trials side by side pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import numpy as np

from scalescope.cost import Shape
from scalescope.errors import RunError
from scalescope.executors import Executor, Task
from scalescope.studies.family import nearest_shape
from scalescope.training.recipe import Recipe

PROBE_SIZES = (1.2e4, 6e4, 3e5)
"""Parameters at which the speed is measured; it is interpolated in between."""
PROBE_SECONDS = 0.8
PROBE_POSITION = 5e5
"""Token whose batch size is used."""

_numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Measured speed and the chosen way of using the cores."""

    slots: int
    """Trials side by side."""
    threads: int
    """Threads of each."""
    params: tuple[float, ...]
    """Sizes that were measured (blocks and head)."""
    tokens_per_second: tuple[float, ...]
    """Of one trial of each size while all slots are busy, other load on the machine taken out.

    A study is laid for the machine it could have: while it runs it gives points up if the machine is slower,
    but it could not add any if the other load went away.
    """
    tried: Mapping[str, float]
    """Tokens per second of all slots together for each way tried, such as `2 x 1 thread`."""

    def speed(self, shape: Shape) -> float:
        """Tokens per second of one trial, log-log between the measured sizes, FLOP-bound beyond them."""
        size, sizes = float(shape.params_matmul), self.params
        rate = np.exp(np.interp(np.log(size), np.log(sizes), np.log(self.tokens_per_second)))
        return float(rate * min(1.0, sizes[-1] / size))


def measure_machine(
    executor: Executor, recipe: Recipe, *, cores: int, vocabulary: int, context: int
) -> Machine:
    """Train three shapes for a second each, in the way of using the cores that trains most.

    Ways tried on the middle shape: one trial a core, half as many with one thread, half as many with two.
    """
    shapes = [nearest_shape(size, vocabulary, context) for size in PROBE_SIZES]
    shapes = sorted(set(shapes), key=lambda shape: shape.params_matmul)
    middle = shapes[len(shapes) // 2]
    half = max(1, cores // 2)
    ways = dict.fromkeys([(cores, 1), (half, 1), (half, min(2, cores))])
    _time(executor, [middle], recipe, slots=cores, threads=1, seconds=0.01)  # workers start and import
    tried = {
        way: sum(
            done["tokens_per_second"][0]
            for done in _time(executor, [middle], recipe, slots=way[0], threads=way[1])
        )
        for way in ways
    }
    slots, threads = max(tried, key=lambda way: tried[way])
    done = _time(executor, shapes, recipe, slots=slots, threads=threads)
    rates = np.array([one["undisturbed"] for one in done])
    return Machine(
        slots=slots,
        threads=threads,
        params=tuple(float(shape.params_matmul) for shape in shapes),
        tokens_per_second=tuple(float(rate) for rate in rates.mean(axis=0)),
        tried={f"{n} x {k} thread{'s' if k > 1 else ''}": rate for (n, k), rate in tried.items()},
    )


def _time(
    executor: Executor,
    shapes: list[Shape],
    recipe: Recipe,
    *,
    slots: int,
    threads: int,
    seconds: float = PROBE_SECONDS,
) -> list[dict[str, Any]]:
    payload: dict[str, Any] = {
        "shapes": [msgspec.to_builtins(shape) for shape in shapes],
        "recipe": msgspec.to_builtins(recipe),
        "position": PROBE_POSITION,
        "seconds": seconds,
        "threads": threads,
    }
    waiting = {f"speed-{next(_numbers)}" for _ in range(slots)}
    for key in waiting:
        executor.submit(Task(key=key, function="scalescope.training.speed:run", payload=payload))
    results = []
    while waiting:
        for event in executor.events(timeout=60.0):
            if event.key not in waiting:
                continue
            if event.kind in ("failed", "lost"):
                raise RunError(
                    f"the speed of this machine could not be measured: {event.data.get('cause', '')}",
                    hint="Run `scalescope doctor`.",
                )
            if event.kind == "done":
                waiting.discard(event.key)
                results.append(event.data)
    return results
