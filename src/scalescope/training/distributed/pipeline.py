"""Consecutive layers on ranks of their own, micro-batches one behind the other, through torch's schedules.

Stages are dealt round the ranks: with `virtual_stages` v, rank r of p has stages r, r + p, ... All that
travels is the stream of one micro-batch, whose size is known, so that nothing has to be found out at run
time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
)

from scalescope.cost.layout import Schedule
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.stage import Stage
from scalescope.training.network import Network
from scalescope.training.trial_settings import Trial

SCHEDULES: Mapping[Schedule, type[Any]] = {
    "gpipe": ScheduleGPipe,
    "1f1b": Schedule1F1B,
    "interleaved": ScheduleInterleaved1F1B,
    "zero-bubble": ScheduleInterleavedZeroBubble,
}


def stages_of(ranks: Ranks) -> tuple[int, ...]:
    """Return the numbers of this rank's stages."""
    layout = ranks.layout
    return tuple(ranks.stage + turn * layout.pp for turn in range(layout.virtual_stages))


def cut(network: Network, stage: int, stages: int) -> Network:
    """Take away what is not of a stage, in place."""
    each = network.shape.n_layers // stages
    for name in list(network.blocks):
        if int(name) // each != stage:
            del network.blocks[name]
    if stage > 0:
        network.embedding = network.places = network.embedding_norm = None
    if stage < stages - 1:
        network.norm = network.head = None
    return network


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages of one rank and how their micro-batches follow each other."""

    ranks: Ranks
    stages: tuple[Stage, ...]
    stream: torch.Size
    """Of one micro-batch between stages."""
    dtype: torch.dtype

    @property
    def ends(self) -> bool:
        """Whether this rank has the last stage."""
        return self.ranks.stage == self.ranks.layout.pp - 1

    @property
    def count(self) -> int:
        """Stages in all."""
        return self.ranks.layout.pp * self.ranks.layout.virtual_stages

    def train(self, inputs: Tensor, targets: Tensor, passes: int, scale: float) -> Tensor:
        """Run forward and backward over all micro-batches; return `scale` times the losses of this rank."""
        losses: list[Tensor] = []
        given = (inputs,) if self.ranks.stage == 0 else ()
        told: dict[str, Any] = {"targets": targets, "target": targets} if self.ends else {}
        schedule = self._schedule(passes, len(inputs) // passes, inputs, scale)
        schedule.step(*given, losses=losses, return_outputs=False, **told)
        if not losses:
            return torch.zeros((), device=self.ranks.device)
        return torch.stack(losses).sum().detach()

    def evaluate(self, inputs: Tensor, targets: Tensor) -> Tensor | None:
        """Return the losses of some sequences on the rank that has the last stage, None on others."""
        group = self.ranks.weights.get_group("pp")
        kept = inputs
        for number in range(self.count):
            owner = number % self.ranks.layout.pp
            if owner != self.ranks.stage:
                continue
            if number:
                kept = torch.empty(self.stream, dtype=self.dtype, device=inputs.device)
                dist.recv(kept, group=group, group_src=(number - 1) % self.ranks.layout.pp)
            kept = self.stages[number // self.ranks.layout.pp](kept, targets, each=True)
            if number < self.count - 1:
                dist.send(kept.contiguous(), group=group, group_dst=(number + 1) % self.ranks.layout.pp)
        return kept if self.ends else None

    def _schedule(self, passes: int, rows: int, inputs: Tensor, scale: float) -> Any:
        made = [self._torch_stage(number, rows, inputs) for number in range(len(self.stages))]
        layout = self.ranks.layout
        single = layout.schedule in ("gpipe", "1f1b")
        return SCHEDULES[layout.schedule](
            made[0] if single else made,
            passes,
            loss_fn=lambda losses, _: losses.sum() * scale,
            scale_grads=False,
        )

    def _torch_stage(self, own: int, rows: int, inputs: Tensor) -> PipelineStage:
        number = stages_of(self.ranks)[own]
        stream = torch.empty(self.stream, dtype=self.dtype, device="meta", requires_grad=True)
        first = inputs[:rows].to("meta")
        loss = torch.empty(1, dtype=torch.float32, device="meta", requires_grad=True)
        return PipelineStage(
            self.stages[own],
            number,
            self.count,
            self.ranks.device,
            input_args=stream if number else first,
            output_args=stream if number < self.count - 1 else loss,
            group=self.ranks.weights.get_group("pp"),
        )


def stream_of(trial: Trial, ranks: Ranks) -> torch.Size:
    """Return the size of one micro-batch's stream between two stages of a rank's column."""
    layout, shape = ranks.layout, trial.shape
    tokens = shape.context // layout.cp
    if layout.tp > 1 and layout.sequence_parallel:
        tokens //= layout.tp
    return torch.Size((layout.micro_batch, tokens, shape.width))
