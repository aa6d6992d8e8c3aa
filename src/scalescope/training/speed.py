"""How fast this machine trains: tokens per second of given shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from scalescope.cost import Shape
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.recipe import Recipe
from scalescope.training.stacked.transformer import StackedTransformer


def run(payload: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:  # noqa: ARG001
    """Time training steps; the entry point of a `Task`.

    Parameters
    ----------
    payload
        `shapes` (dictionaries), `recipe`, `position` (token at which the batch size is taken), `seconds`
        for each shape, `threads`.

    Returns
    -------
    dict
        `tokens_per_second` by the wall clock, and `undisturbed`, by the CPU time that the steps took: the
        speed without other load. One number a shape.
    """
    keep_freed_memory()
    torch.set_num_threads(int(payload["threads"]))
    shapes = msgspec.convert(payload["shapes"], list[Shape])
    recipe = msgspec.convert(payload["recipe"], Recipe)
    wall, undisturbed = zip(
        *(
            time_steps(shape, recipe, position=payload["position"], seconds=payload["seconds"])
            for shape in shapes
        ),
        strict=True,
    )
    return {"tokens_per_second": wall, "undisturbed": undisturbed}


def time_steps(shape: Shape, recipe: Recipe, *, position: float, seconds: float) -> tuple[float, float]:
    """Time whole training steps on random tokens for about `seconds`, after two to warm up.

    Returns tokens per wall second, and per CPU-second of one of the threads.
    """
    model = StackedTransformer(shape)
    optimizers = build_optimizers(model, recipe)
    set_rate(optimizers, 1.0)
    batch = recipe.batch(position, shape.context)
    windows = torch.randint(shape.vocabulary, (batch, shape.context + 1))

    def step() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        model.loss(windows[:, :-1], windows[:, 1:]).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()

    step()
    step()
    steps, started, before = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds or steps == 0:
        step()
        steps += 1
    tokens = steps * batch * shape.context
    cpu = (time.process_time() - before) / torch.get_num_threads()
    return tokens / elapsed, tokens / min(elapsed, max(cpu, 0.1 * elapsed))
