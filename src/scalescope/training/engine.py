"""What holds model and optimisers and takes steps: the one interface of one process and of many.

`trial` and the trainer under `torchrun` say when to step and how fast to learn; an engine does it. The one
here is a single process; `scalescope.training.distributed` has the one of a whole layout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from scalescope.training.network import Network
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.precision import Numbers, build_in
from scalescope.training.starting import start
from scalescope.training.tasks.protocol import IGNORED, Batch
from scalescope.training.trees import copy_tree
from scalescope.training.trial_settings import Trial
from scalescope.training.watching import first_not_finite


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
        """Train on a batch (the whole one: ranks take their own part) at a share of the peak rates.

        Where loss or gradients are not finite, weights stay as they were.
        """
        ...

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence, (sequences,), without training, the same on every rank."""
        ...

    def tolerates(self, step: Step) -> bool:
        """Whether a step without finite numbers was merely left out, as some are in fp16."""
        ...

    def blame(self, batch: Batch) -> str:
        """Name the first part that is not finite after a step on a batch; empty where none is known."""
        ...

    def snapshot(self) -> Kept:
        """Copy weights and optimiser states."""
        ...

    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        ...


class LocalEngine:
    """One process."""

    def __init__(self, trial: Trial, device: str = "cpu") -> None:
        self.trial, self.device = trial, torch.device(device)
        self.model = build_in(trial.precision, trial.shape)
        start(self.model, trial.recipe)
        self.model.to(self.device)
        self.optimizers = build_optimizers(self.model, trial.recipe)
        self.numbers = Numbers(trial.precision, self.device)

    def step(self, batch: Batch, share: float) -> Step:
        """Take an optimiser step; see `Engine`."""
        set_rate(self.optimizers, share)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        recipe, batch = self.trial.recipe, batch.to(self.device)
        with self.numbers.context():
            loss = self.model.loss(batch.inputs, batch.targets, z_loss=recipe.z_loss)
        self.numbers.backward(loss, self.optimizers)
        limit = recipe.clip or math.inf
        done = Step(float(loss.detach()), float(clip_grad_norm_(self.model.parameters(), limit)))
        if math.isfinite(done.loss + done.gradient_norm):
            for optimizer in self.optimizers:
                optimizer.step()
        if isinstance(self.model, Network):
            self.model.end_step()
        return done

    @torch.no_grad()
    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence; see `Engine`."""
        batch = batch.to(self.device)
        with self.numbers.context():
            each = self.model.loss(batch.inputs, batch.targets, reduction="none")
        counted = (batch.targets != IGNORED).flatten(1)
        each = each.view(len(batch), -1).double()
        return ((each * counted).sum(1) / counted.sum(1).clamp_min(1)).cpu()

    def tolerates(self, step: Step) -> bool:
        """Whether a step was merely left out; see `Engine`."""
        return self.numbers.tolerates(step.loss, step.gradient_norm)

    def blame(self, batch: Batch) -> str:
        """Name the first part that is not finite; see `Engine`."""
        with self.numbers.context():
            return first_not_finite(self.model, batch.to(self.device).inputs)

    def snapshot(self) -> Kept:
        """Copy weights, optimiser states and the scale of fp16 gradients."""
        weights = [tensor.detach().clone() for tensor in self._state()]
        states = [copy_tree(optimizer.state_dict()) for optimizer in self.optimizers]
        return weights, states, self.numbers.state()

    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        weights, states, *numbers = kept
        with torch.no_grad():
            for tensor, weight in zip(self._state(), weights, strict=True):
                tensor.copy_(weight)
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)
        if numbers:  # absent from checkpoints of before
            self.numbers.put(numbers[0])

    def _state(self) -> list[Tensor]:
        """Parameters, and what a step changes beside them: biases of routers."""
        return [*self.model.parameters(), *self.model.buffers()]
