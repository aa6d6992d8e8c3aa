"""How fast this machine trains: tokens per second of given shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from scalescope.cost import Shape
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.engine import LocalEngine
from scalescope.training.recipe import Recipe
from scalescope.training.tasks.protocol import Batch
from scalescope.training.trial_settings import Precision, Trial


def run(payload: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:  # noqa: ARG001
    """Time training steps; the entry point of a `Task`.

    Parameters
    ----------
    payload
        `shapes` (dictionaries), `recipe`, `position` (token at which the batch size is taken), `seconds`
        for each shape, `threads`; perhaps `precision` and `device`.

    Returns
    -------
    dict
        `tokens_per_second` by the wall clock, and `undisturbed`, by the CPU time that the steps took: the
        speed without other load. One number a shape. `cuda` counts the devices that are there.
    """
    keep_freed_memory()
    torch.set_num_threads(int(payload["threads"]))
    shapes = msgspec.convert(payload["shapes"], list[Shape])
    recipe = msgspec.convert(payload["recipe"], Recipe)
    precision = msgspec.convert(payload.get("precision", "fp32"), Precision)
    wall, undisturbed = zip(
        *(
            time_steps(
                shape,
                recipe,
                position=payload["position"],
                seconds=payload["seconds"],
                precision=precision,
                device=str(payload.get("device") or "cpu"),
            )
            for shape in shapes
        ),
        strict=True,
    )
    return {"tokens_per_second": wall, "undisturbed": undisturbed, "cuda": torch.cuda.device_count()}


def time_steps(
    shape: Shape,
    recipe: Recipe,
    *,
    position: float,
    seconds: float,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> tuple[float, float]:
    """Time whole training steps on random input for about `seconds`, after two to warm up.

    Returns tokens per wall second, and per CPU-second of one of the threads; on a device the wall's twice.
    """
    trial = Trial(name="speed", shape=shape, seed=0, horizons=(1,), recipe=recipe, precision=precision)
    engine = LocalEngine(trial, device)
    size = recipe.batch(position, shape.context)
    batch = _random(shape, size).to(engine.device)
    for _ in range(2):
        engine.step(batch, 1.0)
    steps, started, before = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds or steps == 0:
        engine.step(batch, 1.0)  # its loss is read, which waits for a device
        steps += 1
    tokens = steps * size * shape.context
    if engine.device.type != "cpu":
        return tokens / elapsed, tokens / elapsed
    cpu = (time.process_time() - before) / torch.get_num_threads()
    return tokens / elapsed, tokens / min(elapsed, max(cpu, 0.1 * elapsed))


def _random(shape: Shape, size: int) -> Batch:
    """Return a batch of what the shape reads."""
    if shape.patches is not None:
        classes = torch.randint(shape.vocabulary, (size, 1))
        return Batch(torch.randn(size, shape.context, shape.patches.numbers), classes)
    tokens = torch.randint(shape.vocabulary, (size, shape.context + 1))
    return Batch(tokens[:, :-1], tokens[:, 1:])
