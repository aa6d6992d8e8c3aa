"""A whole layout as one engine: every process calls it with the same batch and learns the same step.

A rank takes its own sequences of the batch, and its own tokens of them under context parallelism, in passes
of `layout.micro_batch`. The loss is the mean over all targets of the batch whoever has them: a pass counts
its sum over that number, and gradients add up over passes and ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from scalescope.training.distributed import clipping
from scalescope.training.distributed.batches import Share
from scalescope.training.distributed.blaming import blame
from scalescope.training.distributed.building import build_stages
from scalescope.training.distributed.data_parallel import begin_pass, rest
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.pipeline import Pipeline, stream_of
from scalescope.training.engine import Kept, Step
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.tasks.protocol import IGNORED, Batch
from scalescope.training.trees import copy_tree
from scalescope.training.trial_settings import Trial


class MeshEngine:
    """Model and optimisers of one rank; see `scalescope.training.engine.Engine`.

    Parameters
    ----------
    trial
        What to train; its seed draws the same weights whatever the layout.
    ranks
        The processes of `trial.layout`.
    compiled
        Whether blocks are compiled.
    """

    def __init__(self, trial: Trial, ranks: Ranks, *, compiled: bool = False) -> None:
        self.trial, self.ranks = trial, ranks
        self.stages = build_stages(trial, ranks, compiled=compiled)
        self.optimizers = [
            one for stage in self.stages for one in build_optimizers(stage.network, trial.recipe)
        ]
        self.pipeline = Pipeline(
            ranks=ranks, stages=self.stages, stream=stream_of(trial, ranks), dtype=self._stream_type()
        )
        self.share = Share(ranks)

    @property
    def params(self) -> list[Tensor]:
        """Parameters of this rank's stages, sharded as the layout says."""
        return [param for stage in self.stages for param in stage.network.parameters()]

    def step(self, batch: Batch, share: float) -> Step:
        """Take an optimiser step; where loss or gradients are no numbers, weights stay as they were."""
        done = self.accumulate(batch)
        if math.isfinite(done.loss + done.gradient_norm):
            if self.trial.recipe.clip:
                clipping.clip(self.params, done.gradient_norm, self.trial.recipe.clip)
            set_rate(self.optimizers, share)
            for optimizer in self.optimizers:
                optimizer.step()
        for stage in self.stages:
            stage.network.end_step(partial(dist.all_reduce, group=self.ranks.batch))
        return done

    def accumulate(self, batch: Batch) -> Step:
        """Leave the gradients of a batch in the parameters, and return its loss and their norm."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        targets = int((batch.targets != IGNORED).sum())
        own = self.share.of(batch)
        for stage in self.stages:
            stage.network.scale.value = self.share.of_pass(len(own))
        with self._precision():
            loss = self._run(own, 1 / max(1, targets))
        clipping.settle(self.params)
        once = loss.double() if self.ranks.column == 0 else torch.zeros_like(loss, dtype=torch.float64)
        told = clipping.over_all(torch.stack((once, clipping.squares(self.params, self.ranks))))
        return Step(float(told[0]), math.sqrt(float(told[1])))

    @torch.no_grad()
    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence; see `Engine`."""
        own = self.share.of(batch)
        sums = torch.zeros(self.share.padded(len(batch)), dtype=torch.float64, device=self.ranks.device)
        with self._precision():
            for at, part in self._passes(own):
                found = self.pipeline.evaluate(part.inputs, part.targets)
                if found is not None and self.ranks.column == 0:
                    sums[self.share.rows(len(batch))][at] = found.double()
        for stage in self.stages:
            rest(stage)
        counted = (batch.targets != IGNORED).flatten(1).sum(1)
        return clipping.over_all(sums)[: len(batch)].cpu() / counted.clamp_min(1)

    def tolerates(self, step: Step) -> bool:  # noqa: ARG002
        """Whether a step was merely left out; see `Engine`."""
        return False

    def blame(self, batch: Batch) -> str:
        """Name the first part that is not finite; see `Engine`."""
        return blame(self.stages, self.pipeline, self.share.of(batch), self.ranks)

    def snapshot(self) -> Kept:
        """Copy this rank's weights, what routers have learnt without gradients, and optimiser states."""
        weights = [one.detach().clone() for one in self._kept()]
        return weights, [copy_tree(optimizer.state_dict()) for optimizer in self.optimizers]

    @torch.no_grad()
    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        weights, states = kept
        for one, weight in zip(self._kept(), weights, strict=True):
            one.copy_(weight)
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(copy_tree(state))

    def _kept(self) -> list[Tensor]:
        return [*self.params, *(one for stage in self.stages for one in stage.network.buffers())]

    def _run(self, own: Batch, scale: float) -> Tensor:
        """Run all passes of a step forward and backward; return this rank's part of the loss."""
        passes = self.share.passes(len(own))
        if self.ranks.layout.pp > 1:
            return self.pipeline.train(own.inputs, own.targets, passes, scale)
        (stage,) = self.stages
        total = torch.zeros((), device=self.ranks.device)
        for number, (_, part) in enumerate(self._passes(own), 1):
            begin_pass(stage, self.ranks, last=number == passes)
            loss = stage(part.inputs, part.targets).sum() * scale
            loss.backward()
            total += loss.detach()
        return total

    def _passes(self, own: Batch) -> Iterator[tuple[slice, Batch]]:
        size = self.ranks.layout.micro_batch
        for start in range(0, len(own), size):
            part = slice(start, start + size)
            yield part, own.rows(part)

    def _precision(self) -> AbstractContextManager[Any]:
        """Compute in the trial's precision where no wrapper of the weights sees to it."""
        if self.trial.precision == "bf16" and not self._wrapped():
            return torch.autocast(self.ranks.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _stream_type(self) -> torch.dtype:
        return torch.bfloat16 if self.trial.precision == "bf16" and self._wrapped() else torch.float32

    def _wrapped(self) -> bool:
        return self.ranks.layout.data_ranks * self.ranks.layout.cp > 1
