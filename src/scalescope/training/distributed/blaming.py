"""Which part of a spread model is the first that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.pipeline import Pipeline
from scalescope.training.distributed.stage import Stage
from scalescope.training.tasks.protocol import Batch

NOTHING = 2**62


@torch.no_grad()
def blame(stages: Sequence[Stage], pipeline: Pipeline, own: Batch, ranks: Ranks) -> str:
    """Name the first part whose weights, output or gradient is not finite; empty if all are.

    All ranks must call it. Parts come in the order of the network, whole blocks first: weights before outputs
    before gradients.
    """
    number = _first(stages, pipeline, own, ranks)
    told = torch.tensor(number, device=ranks.device)
    dist.all_reduce(told, op=dist.ReduceOp.MIN)
    if int(told) == NOTHING:
        return ""
    kind, place = divmod(int(told), len(_parts(pipeline)))
    return f"{('weights', 'output', 'gradient')[kind]} of {_parts(pipeline)[place]}"


def _parts(pipeline: Pipeline) -> list[str]:
    """Return the parts of the whole network in order."""
    layers = pipeline.stages[0].network.shape.n_layers
    return ["embedding", *(f"blocks.{layer}" for layer in range(layers)), "norm", "head"]


def _first(stages: Sequence[Stage], pipeline: Pipeline, own: Batch, ranks: Ranks) -> int:
    parts = _parts(pipeline)
    found = [NOTHING]
    handles = []
    for stage in stages:
        for place, name in enumerate(parts):
            module = _get(stage.network, name)
            if module is None:
                continue
            for param in module.parameters():
                found += [place] if not _finite(param) else []
                found += (
                    [place + 2 * len(parts)] if param.grad is not None and not _finite(param.grad) else []
                )
            handles.append(module.register_forward_hook(_Watch(found, place + len(parts))))
    size = ranks.layout.micro_batch
    for start in range(0, len(own), size):
        part = own.rows(slice(start, start + size))
        pipeline.evaluate(part.inputs, part.targets)
    for handle in handles:
        handle.remove()
    return min(found)


class _Watch:
    """Notes a part whose output is not finite."""

    def __init__(self, found: list[int], place: int) -> None:
        self.found, self.place = found, place

    def __call__(self, _: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and not _finite(output):
            self.found.append(self.place)


def _get(network: nn.Module, name: str) -> nn.Module | None:
    kind, _, layer = name.partition(".")
    part = getattr(network, kind, None)
    if layer and isinstance(part, nn.ModuleDict):
        return part[layer] if layer in part else None  # noqa: SIM401
    return part


def _finite(value: Tensor) -> bool:
    local = value.to_local() if isinstance(value, DTensor) else value
    return bool(torch.isfinite(local).all())
