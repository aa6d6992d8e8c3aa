"""What holds model and optimisers and takes steps: the one interface of one process and of many.

`trial` and the trainer under `torchrun` say when to step and how fast to learn; an engine does it. The one
here is a single process; `scalescope.training.distributed` has the one of a whole layout.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from scalescope.training.building import build_model
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.tasks.protocol import IGNORED, Batch
from scalescope.training.trial_settings import Trial


@dataclass(frozen=True, slots=True)
class Step:
    """What one optimiser step tells, the same on every rank."""

    loss: float
    """Mean over the targets of the whole batch, nats."""
    gradient_norm: float
    """Before clipping."""


Kept = Any
"""A snapshot; only the engine that made it reads it."""


class Engine(Protocol):
    """Model and optimisers, wherever they live."""

    def step(self, batch: Batch, share: float) -> Step:
        """Train on a batch (the whole one: ranks take their own part) at a share of the peak rates."""
        ...

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence, (sequences,), without training, the same on every rank."""
        ...

    def snapshot(self) -> Kept:
        """Copy weights and optimiser states."""
        ...

    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        ...


class LocalEngine:
    """One process."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.model = build_model(trial.shape)
        self.optimizers = build_optimizers(self.model, trial.recipe)

    def step(self, batch: Batch, share: float) -> Step:
        """Take an optimiser step; see `Engine`."""
        set_rate(self.optimizers, share)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        with self._precision():
            loss = self.model.loss(batch.inputs, batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.trial.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        return Step(float(loss.detach()), float(norm))

    @torch.no_grad()
    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence; see `Engine`."""
        with self._precision():
            each = self.model.loss(batch.inputs, batch.targets, reduction="none")
        counted = (batch.targets != IGNORED).flatten(1)
        each = each.view(len(batch), -1).double()
        return (each * counted).sum(1) / counted.sum(1).clamp_min(1)

    def snapshot(self) -> Kept:
        """Copy weights and optimiser states."""
        weights = [param.detach().clone() for param in self.model.parameters()]
        return weights, [_copy(optimizer.state_dict()) for optimizer in self.optimizers]

    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        weights, states = kept
        with torch.no_grad():
            for param, weight in zip(self.model.parameters(), weights, strict=True):
                param.copy_(weight)
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def _precision(self) -> AbstractContextManager[Any]:
        if self.trial.precision == "bf16":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return nullcontext()


def _copy(value: Any) -> Any:
    """Copy nested optimiser state, tensors included."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copy(item) for item in value)
    return value
