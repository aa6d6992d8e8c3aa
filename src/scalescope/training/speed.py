"""How fast this machine trains: tokens per second of given shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from scalescope.cost import Shape
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.model import Transformer
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.recipe import Recipe


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
        `tokens_per_second`, one number a shape.
    """
    keep_freed_memory()
    torch.set_num_threads(int(payload["threads"]))
    shapes = msgspec.convert(payload["shapes"], list[Shape])
    recipe = msgspec.convert(payload["recipe"], Recipe)
    rates = [
        tokens_per_second(shape, recipe, position=payload["position"], seconds=payload["seconds"])
        for shape in shapes
    ]
    return {"tokens_per_second": rates}


def tokens_per_second(shape: Shape, recipe: Recipe, *, position: float, seconds: float) -> float:
    """Time whole training steps on random tokens for about `seconds`, after two to warm up."""
    model = Transformer(shape)
    optimizers = build_optimizers(model, recipe)
    set_rate(optimizers, 1.0)
    batch = recipe.batch(position, shape.context)
    windows = torch.randint(shape.vocabulary, (batch, shape.context + 1))

    def step() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        model.loss(windows).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()

    step()
    step()
    steps, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or steps == 0:
        step()
        steps += 1
    return steps * batch * shape.context / elapsed
