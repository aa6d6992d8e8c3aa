"""Many small trials on one device: processes side by side, and copies of a shape in one process.

Run by `gpu.py`, which says what the figures are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from gpu_place import Place, Step, say, timed
from scalescope.cost import Shape
from scalescope.executors import LocalExecutor, Task
from scalescope.studies.family import nearest_shape
from scalescope.training.network import Network
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial

GOAL_GRID = 5.0
SMALL = (1e6, 2e6, 5e6, 1e7, 2e7)
"""Sizes of the grid, blocks and head."""
SIDE_BY_SIDE = (1, 2, 4, 8, 16)


def small_trials(place: Place, tiny: bool, tokens: int) -> Iterator[tuple[str, Trial]]:
    """Yield the trials of a grid: every size on two token counts, as one run each."""
    sizes = (1e4, 2e4) if tiny else SMALL
    for size in sizes:
        shape = nearest_shape(size, 256, 64 if tiny else 256)
        for ratio in (1, 2):
            name = f"grid-{size:g}-{ratio}"
            yield (
                name,
                Trial(
                    name=name,
                    shape=shape,
                    seed=0,
                    horizons=(tokens * ratio,),
                    recipe=Recipe(batch_tokens=4096.0 if tiny else 16384.0, batch_power=0.0),
                    precision="bf16" if place.cuda else "fp32",
                    evaluation_tokens=4096,
                ),
            )


def grid(place: Place, options: argparse.Namespace) -> None:
    """Trials an hour, N processes side by side; one after the other is N = 1."""
    from scalescope.corpora.preparing import prepare_corpus

    tokens = 8192 if options.tiny else options.tokens
    trials = list(small_trials(place, options.tiny, tokens))
    first = None
    with tempfile.TemporaryDirectory() as folder:
        corpus = prepare_corpus(options.corpus, Path(folder) / "corpus")
        for slots in (1, 2) if options.tiny else SIDE_BY_SIDE:
            if slots > (os.cpu_count() or 1):
                continue
            hourly, failed = _together(trials, corpus, Path(folder) / "corpus", place, slots)
            first = first or hourly
            best = round(hourly / first, 2)
            say(
                place,
                "grid",
                way="processes",
                side_by_side=slots,
                trials_per_hour=round(hourly),
                n_trials=len(trials),
                n_failed=failed,
                tokens=tokens,
                over_one_after_the_other=best,
                goal=GOAL_GRID,
                met=best >= GOAL_GRID,
            )


def _together(
    trials: list[tuple[str, Trial]], corpus: Any, folder: Path, place: Place, slots: int
) -> tuple[float, int]:
    """Run trials on warm workers; return trials an hour and failures."""
    with LocalExecutor(slots) as executor:
        warm = [replace(trials[0][1], horizons=(4096,)) for _ in range(slots)]
        _run(executor, [(f"warm-{n}", trial) for n, trial in enumerate(warm)], corpus, folder, place)
        work = [
            (f"{name}-{copy}", trial) for copy in range(max(1, slots // 4)) for name, trial in trials[::-1]
        ]
        start = time.perf_counter()
        failed = _run(executor, work, corpus, folder, place)
        return (len(work) - failed) * 3600 / (time.perf_counter() - start), failed


def _run(
    executor: LocalExecutor, work: list[tuple[str, Trial]], corpus: Any, folder: Path, place: Place
) -> int:
    files = {"train": folder / corpus.train_file, "held_out": folder / corpus.held_out_file}
    for name, trial in work:
        plain = {key: value for key, value in msgspec.to_builtins(trial).items() if key != "seconds"}
        payload = {"trial": plain, "corpus": corpus.to_dict(), "device": str(place.device)}
        executor.submit(
            Task(key=name, function="scalescope.training.trial:run", payload=payload, files=files)
        )
    left, failed = {name for name, _ in work}, 0
    while left:
        for event in executor.events(timeout=5.0):
            if event.kind in ("done", "failed", "lost"):
                left.discard(event.key)
                failed += event.kind != "done"
                if event.kind != "done":
                    print(event.key, event.data.get("cause"), file=sys.stderr)
    return failed


def batched(place: Place, options: argparse.Namespace) -> None:
    """K copies of one small shape in one process: forward, backward and AdamW over stacked parameters."""
    context = 64 if options.tiny else 256
    for size in (1e4,) if options.tiny else SMALL[:4]:
        shape = nearest_shape(size, 256, context)
        alone = None
        for copies in (1, 4) if options.tiny else (1, 4, 16, 32):
            try:
                step = _stacked_step(shape, copies, 4 if options.tiny else 16, place)
                spent = timed(step, place, options.seconds / 4)
            except torch.cuda.OutOfMemoryError:
                break
            speed = copies * (4 if options.tiny else 16) * context / spent
            alone = alone or speed
            say(
                place,
                "batched",
                params=shape.params_matmul,
                copies=copies,
                tokens_per_second=round(speed),
                over_one=round(speed / alone, 2),
                goal=GOAL_GRID,
                met=speed / alone >= GOAL_GRID,
            )


def _stacked_step(shape: Shape, copies: int, batch: int, place: Place) -> Step:
    models = [Network(shape).to(place.device) for _ in range(copies)]
    params, buffers = stack_module_state(models)
    base = models[0]
    inputs = torch.randint(shape.vocabulary, (copies, batch, shape.context), device=place.device)
    flat = [value.detach().requires_grad_() for value in params.values()]
    held = dict(zip(params, flat, strict=True))
    optimizer = torch.optim.AdamW(flat, lr=1e-4, fused=True)

    def loss(
        one: dict[str, torch.Tensor], fixed: dict[str, torch.Tensor], text: torch.Tensor
    ) -> torch.Tensor:
        with torch.autocast(place.device.type, dtype=torch.bfloat16, enabled=place.cuda):
            logits = functional_call(base, (one, fixed), (text,))
        return F.cross_entropy(logits.flatten(0, 1).float(), text.flatten())

    each = vmap(grad_and_value(loss))

    def step() -> torch.Tensor:
        gradients, losses = each(held, buffers, inputs)
        for name, param in held.items():
            param.grad = gradients[name]
        optimizer.step()
        return losses.mean().detach()

    return step
