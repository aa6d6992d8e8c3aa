"""Runs all layouts of one number of processes in one group, and writes how far each is from one process.

`python parity_worker.py PROCESSES RESULTS`: imports cost more than all the checks, so all share one launch.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from checkpoint_checks import kept as saved
from checkpoint_checks import next_step
from parity_cases import CASES, Case
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

from scalescope.training.distributed.building import drawn
from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.mesh import place_ranks
from scalescope.training.network import Network
from scalescope.training.optimizers import build_optimizers
from scalescope.training.recipe import Recipe
from scalescope.training.tasks.protocol import IGNORED, Batch
from scalescope.training.trial_settings import Trial

CLIP, Z_LOSS = 0.5, 0.01
TIMEOUT_S = 60
SURE = 1e-3
"""AdamW divides a gradient by its size: where that is rounding, the sign of a step is chance."""


def main(rank: int, processes: int, store: str, results: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=TIMEOUT_S),
    )
    found: dict[str, Any] = {str(case): check(case) for case in CASES[processes]}
    found["poisoned"] = poisoned(processes)
    if rank == 0:
        Path(results).write_text(json.dumps(found))
    dist.destroy_process_group()


def check(case: Case) -> dict[str, float]:
    """Return errors, relative to the largest number of what is compared; the worst of all ranks."""
    trial, batch = trial_of(case), batch_of(case)
    engine = MeshEngine(trial, place_ranks(case.layout, torch.device("cpu")))
    network = drawn(trial)
    loss, norm = backward(network, batch)
    errors = {"each": away(engine.losses(batch), each_of(network, batch))}
    kept = engine.snapshot()
    done = engine.accumulate(batch)
    errors |= {"loss": abs(done.loss / loss - 1), "norm": abs(done.gradient_norm / norm - 1)}
    gradients = {name: param.grad.clone() for name, param in network.named_parameters()}
    assert {one.dtype for param in engine.params for one in (param, param.grad)} == {torch.float32}
    errors["gradients"] = max(away(whole(own.grad), gradients[name]) for name, own in named(engine))
    engine.step(batch, 1.0)
    clip_grad_norm_(network.parameters(), CLIP)
    for optimizer in build_optimizers(network, trial.recipe):
        optimizer.step()
    network.end_step()
    one = dict(network.named_parameters())
    errors["step"] = max(
        away(whole(own), one[name], gradients[name].abs() >= SURE * gradients[name].abs().max())
        for name, own in named(engine)
    )
    state = dict(network.named_buffers())
    errors["state"] = max(
        [away(value, state[name]) for stage in engine.stages for name, value in stage.network.named_buffers()
         if name.endswith("router.bias")] or [0.0]
    )  # fmt: skip
    before = whole(next(iter(engine.params))).clone()
    errors |= saved(case, engine) | next_step(case, engine, batch, CLIP, Z_LOSS)
    engine.restore(kept)
    moved = away(before, whole(next(iter(engine.params))))
    errors["restored"] = away(engine.losses(batch), each_of(drawn(trial), batch))
    return worst(errors) | {"moved": moved}


def poisoned(processes: int) -> dict[str, Any]:
    """A weight that is no number: who is blamed, and whether the step left the others alone."""
    case = Case(f"pp=2,fsdp={processes // 2},micro_batch=2")
    engine = MeshEngine(trial_of(case), place_ranks(case.layout, torch.device("cpu")))
    before = [whole(param).clone() for param in engine.params]
    for name, param in named(engine):
        if name == "blocks.2.feed.up.weight":
            (param.to_local() if isinstance(param, DTensor) else param).detach().fill_(math.nan)
    batch = batch_of(case)
    done = engine.step(batch, 1.0)
    same = [torch.equal(whole(param), kept) for param, kept in zip(engine.params, before, strict=True)]
    return {
        "loss": str(done.loss),
        "blamed": engine.blame(batch),
        "left": all(same) or engine.ranks.stage == 1,
    }


def trial_of(case: Case) -> Trial:
    recipe = Recipe(optimizer=case.optimizer, init="normal", clip=CLIP, z_loss=Z_LOSS)
    return Trial(
        name="parity",
        shape=case.shape,
        seed=3,
        horizons=(1000,),
        recipe=recipe,
        layout=case.layout,
        precision=case.precision,
    )


def batch_of(case: Case) -> Batch:
    """Sequences of which some ask for less than others."""
    shape = case.shape
    tokens = torch.randint(
        shape.vocabulary, (case.rows, shape.context + 1), generator=torch.Generator().manual_seed(1)
    )
    targets = tokens[:, 1:].clone()
    targets[0, :5] = targets[2] = IGNORED
    return Batch(tokens[:, :-1], targets)


def backward(network: Network, batch: Batch) -> tuple[float, float]:
    loss = network.loss(batch.inputs, batch.targets, z_loss=Z_LOSS)
    loss.backward()
    squares = sum(param.grad.double().square().sum() for param in network.parameters())
    return float(loss), math.sqrt(float(squares))


@torch.no_grad()
def each_of(network: Network, batch: Batch) -> torch.Tensor:
    losses = network.loss(batch.inputs, batch.targets, reduction="none").view(len(batch), -1).sum(1)
    return losses / (batch.targets != IGNORED).sum(1).clamp_min(1)


def named(engine: MeshEngine) -> list[tuple[str, torch.Tensor]]:
    return [pair for stage in engine.stages for pair in stage.network.named_parameters()]


def whole(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


def away(found: torch.Tensor, wanted: torch.Tensor, where: torch.Tensor | bool = True) -> float:
    """Largest difference over the largest number wanted."""
    assert found.shape == wanted.shape
    return float(((found - wanted).abs() * where).max() / wanted.abs().max().clamp_min(1e-30))


def worst(errors: dict[str, float]) -> dict[str, float]:
    values = torch.tensor(list(errors.values()), dtype=torch.float64)
    dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return dict(zip(errors, values.tolist(), strict=True))


if __name__ == "__main__":
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # what the processes leave goes with it
        torch.multiprocessing.spawn(main, (count, f"{folder}/store", sys.argv[2]), nprocs=count)
