"""How fast the machine at hand trains, and how many trials side by side pay.

A CUDA card is left idle for the most part by one small model: several trials share it, each in its own
process, as many as train most together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import msgspec
import numpy as np

from scalescope.cost import Shape
from scalescope.errors import RunError
from scalescope.executors import Executor, Task
from scalescope.studies.sizes import Sizes, size_of
from scalescope.training.levers import Variant

PROBE_SIZES = (1.2e4, 6e4, 3e5)
"""Parameters at which the speed is measured; it is interpolated in between."""
PROBE_SECONDS = 0.8
SHARING = (1, 2, 4, 8, 16)
"""Trials side by side that are tried on each device."""
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
    devices: tuple[str, ...] = ()
    """Such as `cuda:0`, over which the slots are spread; empty where the processor trains."""

    def speed(self, shape: Shape) -> float:
        """Tokens per second of one trial, log-log between the measured sizes, FLOP-bound beyond them."""
        size, sizes = float(size_of(shape)), self.params
        rate = np.exp(np.interp(np.log(size), np.log(sizes), np.log(self.tokens_per_second)))
        return float(rate * min(1.0, sizes[-1] / size))


def measure_machine(executor: Executor, variant: Variant, *, cores: int, sizes: Sizes) -> Machine:
    """Train three shapes for a second each, in the way of using the machine that trains most.

    Ways tried on the middle shape: one trial a core, half as many with one thread, half as many with two;
    on a device 1, 2, 4, 8 and 16 trials, as far as there are cores to feed them.
    """
    shapes = probed(sizes)
    middle = [shapes[len(shapes) // 2]]
    first = _time(executor, middle, variant, slots=cores, threads=1, seconds=0.01)  # workers start and import
    devices = tuple(f"cuda:{index}" for index in range(int(first[0].get("cuda", 0))))
    tried = {
        way: sum(
            done["tokens_per_second"][0]
            for done in _time(executor, middle, variant, slots=way[0], threads=way[1], devices=devices)
        )
        for way in _ways(cores, devices)
    }
    slots, threads = max(tried, key=lambda way: tried[way])
    machine = Machine(
        slots=slots,
        threads=threads,
        params=(),
        tokens_per_second=(),
        tried={f"{n} x {k} thread{'s' if k > 1 else ''}": rate for (n, k), rate in tried.items()},
        devices=devices,
    )
    return measure_speed(executor, machine, variant, sizes=sizes)


def measure_speed(executor: Executor, machine: Machine, variant: Variant, *, sizes: Sizes) -> Machine:
    """Return a machine, used as it is, with the speed at which it trains a variant."""
    shapes = probed(sizes)
    done = _time(
        executor,
        shapes,
        variant,
        slots=machine.slots,
        threads=machine.threads,
        devices=machine.devices,
    )
    rates = np.array([one["undisturbed"] for one in done]).mean(axis=0)
    return replace(
        machine,
        params=tuple(float(size_of(shape)) for shape in shapes),
        tokens_per_second=tuple(float(rate) for rate in rates),
    )


def probed(sizes: Sizes) -> list[Shape]:
    """Return the shapes whose speed is measured, smallest first."""
    return sorted({sizes.nearest(size) for size in PROBE_SIZES}, key=size_of)


def _ways(cores: int, devices: tuple[str, ...]) -> list[tuple[int, int]]:
    """Slots and threads to try."""
    if devices:
        return [(n * len(devices), 1) for n in SHARING if n == 1 or n * len(devices) <= cores]
    half = max(1, cores // 2)
    return list(dict.fromkeys([(cores, 1), (half, 1), (half, min(2, cores))]))


def _time(
    executor: Executor,
    shapes: list[Shape],
    variant: Variant,
    *,
    slots: int,
    threads: int,
    devices: tuple[str, ...] = (),
    seconds: float = PROBE_SECONDS,
) -> list[dict[str, Any]]:
    payload: dict[str, Any] = {
        "shapes": [msgspec.to_builtins(shape) for shape in shapes],
        "recipe": msgspec.to_builtins(variant.recipe),
        "precision": variant.precision,
        "position": PROBE_POSITION,
        "seconds": seconds,
        "threads": threads,
    }
    waiting = set()
    for slot in range(slots):
        key = f"speed-{next(_numbers)}"
        placed = {"device": devices[slot % len(devices)]} if devices else {}
        needs = {"gpus": len(devices) / slots} if devices else {}
        task = Task(key=key, function="scalescope.training.speed:run", payload=payload | placed, needs=needs)
        waiting.add(key)
        executor.submit(task)
    return _collected(executor, waiting)


def _collected(executor: Executor, waiting: set[str]) -> list[dict[str, Any]]:
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
