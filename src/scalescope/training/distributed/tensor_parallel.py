"""Ranks that share every matrix, by the names of a network's modules.

After Shoeybi et al. 2019 (https://arxiv.org/abs/1909.08053): matrices that read the stream are cut by
columns, those that write it by rows, embedding and head by the rows of the vocabulary. Between them ranks
either hold the stream whole or, with sequence parallelism, a part of each sequence (Korthikanti et al.
2022, https://arxiv.org/abs/2205.05198). What several matrices read is gathered once for all of them, so
that its gradient is reduced once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)
from torch.distributed.tensor.placement_types import Placement

from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.stage import Stage
from scalescope.training.distributed.vocabulary import SharedVocabulary
from scalescope.training.network import Network

TIME, HEADS = 1, 1
"""Which axis of the stream (batch, time, width) and of a mixer's heads (batch, heads, time, size) is cut."""


def share_matrices(stage: Stage, ranks: Ranks) -> None:
    """Cut every matrix of a stage over the ranks of tensor parallelism."""
    if ranks.layout.tp == 1:
        return
    mesh = ranks.weights["tp"]
    stream: Placement = Shard(TIME) if ranks.layout.sequence_parallel else Replicate()
    network = stage.network
    for block in network.blocks.values():
        _apply(block, mesh, block_plan(stream))
    _apply(network, mesh, {"norm": _Whole(stream)})
    _share_vocabulary(network, mesh, stream)
    if network.head is not None:
        stage.shared = SharedVocabulary(mesh=mesh, stream=stream, vocabulary=network.shape.vocabulary)


def block_plan(stream: Placement) -> Mapping[str, ParallelStyle]:
    """Return how the modules of a block are cut, by name."""
    return {
        "mixer_norm": _Whole(stream),
        "mixer": _gathered(stream, None),
        "mixer.query": ColwiseParallel(),
        "mixer.key": ColwiseParallel(),
        "mixer.value": ColwiseParallel(),
        "mixer.query_norm": _Whole(Shard(HEADS)),
        "mixer.key_norm": _Whole(Shard(HEADS)),
        "mixer.out": RowwiseParallel(output_layouts=stream),
        "feed_norm": _Whole(stream),
        "feed": _gathered(stream),
        "feed.gate": ColwiseParallel(),
        "feed.up": ColwiseParallel(),
        "feed.down": RowwiseParallel(output_layouts=stream),
    }


def _gathered(stream: Placement, *others: None) -> ParallelStyle:
    """Gather what a module reads once, for all its matrices."""
    return PrepareModuleInput(
        input_layouts=(stream, *others), desired_input_layouts=(Replicate(), *others), use_local_output=False
    )


class _Whole(ParallelStyle):
    """Weights that every rank has whole and applies to its part of what comes in."""

    def __init__(self, part: Placement) -> None:
        super().__init__()
        self.part = part

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        return distribute_module(module, device_mesh, input_fn=self._take, output_fn=_give)  # type: ignore[arg-type]

    def _take(self, _: nn.Module, inputs: tuple[Any, ...], mesh: DeviceMesh) -> tuple[Any, ...]:
        return tuple(DTensor.from_local(one, mesh, [self.part], run_check=False) for one in inputs)


def _give(_: nn.Module, output: Any, __: DeviceMesh) -> Any:
    return output.to_local()


def _apply(module: nn.Module, mesh: DeviceMesh, plan: Mapping[str, ParallelStyle]) -> None:
    """Apply a plan to the modules that are there."""
    there = {name for name, one in module.named_modules() if not isinstance(one, nn.Identity)}
    parallelize_module(module, mesh, {name: style for name, style in plan.items() if name in there})


def _share_vocabulary(network: Network, mesh: DeviceMesh, stream: Placement) -> None:
    """Give each rank some rows of embedding and head; tied ones stay one."""
    tied = network.shape.tied and network.head is not None
    if network.embedding is not None:
        style = RowwiseParallel(input_layouts=Replicate(), output_layouts=stream)
        parallelize_module(network, mesh, {"embedding": style})
    if network.head is None:
        return
    if tied and isinstance(network.embedding, nn.Embedding):
        network.head.weight = network.embedding.weight
    else:
        rows = distribute_tensor(network.head.weight.detach(), mesh, [Shard(0)])
        network.head.weight = nn.Parameter(rows)
