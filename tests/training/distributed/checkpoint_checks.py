"""Checkpoints of every layout that `parity_worker` runs, read by the next one and by one process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from parity_cases import Case
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

from scalescope.training.distributed.building import drawn
from scalescope.training.distributed.checkpoints import Position, newest, save
from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.parts import held_by, told_by_all
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.weights import About

HOST = torch.device("cpu")
written: dict[Any, Path] = {}
"""The last checkpoint of each kind of case, by what decides the tensors in it."""


def kept(case: Case, engine: MeshEngine) -> dict[str, float]:
    """Save an engine, and compare what one process reads with what the engine has."""
    networks = [stage.network for stage in engine.stages]
    held = {name: whole(value).clone() for name, value in held_by(networks, engine.optimizers).items()}
    before = written.get(kind_of(case))
    folder = Path(told_by_all(tempfile.mkdtemp(), HOST)[0])
    save(folder, networks, engine.optimizers, position_of(case))
    written[kind_of(case)] = folder
    one = read_alone(case, engine, folder)
    read = held_by(*one)
    errors = {"kept": max(float((read[name] - value).abs().max()) for name, value in held.items())}
    if before is not None:
        newest(before).put(networks, engine.optimizers)
        others = held_by(*read_alone(case, engine, before))
        mine = held_by(networks, engine.optimizers)
        errors["resharded"] = max(
            float((whole(value) - others[name]).abs().max()) for name, value in mine.items()
        )
    return errors


def next_step(case: Case, engine: MeshEngine, batch: Any, clip: float, z_loss: float) -> dict[str, float]:
    """Take a step from the last checkpoint of the case's kind, spread and in one process."""
    folder = written[kind_of(case)]
    networks = [stage.network for stage in engine.stages]
    newest(folder).put(networks, engine.optimizers)
    (network,), optimizers = read_alone(case, engine, folder)
    loss = network.loss(batch.inputs, batch.targets, z_loss=z_loss)
    loss.backward()
    gradients = {name: param.grad.clone() for name, param in network.named_parameters()}
    clip_grad_norm_(network.parameters(), clip)
    set_rate(optimizers, 0.5)
    for optimizer in optimizers:
        optimizer.step()
    done = engine.step(batch, 0.5)
    mine, alone = held_by(networks, []), held_by([network], [])
    return {
        "next loss": abs(done.loss / float(loss) - 1),
        "next step": max(
            float(
                ((whole(value) - alone[name]).abs() * sure(gradients.get(name.partition("/")[2]))).max()
                / alone[name].abs().max().clamp_min(1e-30)
            )
            for name, value in mine.items()
            if not name.endswith("router.bias")  # it moves by signs
        ),
    }


def sure(gradient: torch.Tensor | None) -> torch.Tensor | float:
    """Where a gradient is more than rounding."""
    return 1.0 if gradient is None else gradient.abs() >= 1e-3 * gradient.abs().max()


def read_alone(case: Case, engine: MeshEngine, folder: Path) -> Any:
    network = drawn(engine.trial)
    optimizers = build_optimizers(network, engine.trial.recipe)
    newest(folder).put([network], optimizers)
    return [network], optimizers


def position_of(case: Case) -> Position:
    return Position(
        step=1,
        sequences=case.rows,
        about=About(shape=case.shape, tokens=case.rows * case.shape.context),
        optimizer=case.optimizer,
        layout=str(case.layout),
    )


def kind_of(case: Case) -> Any:
    return case.shape, case.optimizer


def whole(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
