"""Which part of each tensor a rank has, and who writes what several have.

A part is a box of the whole tensor. What has the same name and box is equal on all ranks that hold it, so
that one of them writes it, the one with the least to write so far. Names are those of the whole `Network`;
what an optimiser remembers of a parameter goes by the parameter's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from scalescope.training.weights import weights_of

WEIGHTS = "weights"
"""Kind of what a model has; what an optimiser keeps has its own words, such as `exp_avg`."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Part:
    """A box of a tensor."""

    name: str
    """Kind and name of the parameter, such as `exp_avg/blocks.3.feed.up.weight`."""
    offset: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def count(self) -> int:
        """Numbers in it."""
        return torch.Size(self.size).numel()


def held_by(networks: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return by kind and name what must be kept of networks, or stages of one, and their optimisers."""
    names: dict[int, str] = {}
    held: dict[str, Tensor] = {}
    for network in networks:
        held |= {f"{WEIGHTS}/{name}": value for name, value in weights_of(network).items()}
        names |= names_in(network)
    for optimizer in optimizers:
        for param, state in optimizer.state.items():
            held |= {f"{kind}/{names[id(param)]}": value for kind, value in state.items()}
    return held


def names_in(network: nn.Module) -> dict[int, str]:
    """Return the names of parameters by identity."""
    return {id(param): name for name, param in network.named_parameters()}


def local(tensor: Tensor) -> Tensor:
    """Return what this rank has of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def part_of(name: str, tensor: Tensor) -> Part:
    """Return which part of a tensor this rank has."""
    offset: Sequence[int] = (0,) * tensor.ndim
    if isinstance(tensor, DTensor):
        _, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return Part(name=name, offset=tuple(offset), size=tuple(local(tensor).shape))


def writers(held: Sequence[Sequence[Part]]) -> dict[Part, int]:
    """Return who writes each part, for what every rank holds."""
    holders: dict[Part, list[int]] = {}
    for rank, parts in enumerate(held):
        for part in parts:
            holders.setdefault(part, []).append(rank)
    load = [0] * len(held)
    chosen: dict[Part, int] = {}
    for part in sorted(holders, key=lambda one: (-one.count, one)):
        chosen[part] = min(holders[part], key=lambda rank: (load[rank], rank))
        load[chosen[part]] += part.count
    return chosen


def told_by_all(value: Any, device: torch.device) -> list[Any]:
    """Return the JSON values of all ranks, in order; alone, that of this process."""
    if not dist.is_initialized():
        return [json.loads(json.dumps(value))]
    own = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(device)
    sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(own)], device=device))
    most = max(int(size) for size in sizes)
    rows = [torch.zeros(most, dtype=torch.uint8, device=device) for _ in sizes]
    dist.all_gather(rows, torch.nn.functional.pad(own, (0, most - len(own))))
    texts = (row[: int(size)].cpu().numpy().tobytes() for row, size in zip(rows, sizes, strict=True))
    return [json.loads(text) for text in texts]


def to_plain(part: Part) -> list[Any]:
    """Return a part as JSON."""
    return [part.name, list(part.offset), list(part.size)]


def from_plain(data: Sequence[Any]) -> Part:
    """Read what `to_plain` wrote."""
    name, offset, size = data
    return Part(name=name, offset=tuple(offset), size=tuple(size))


def shapes_of(held: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Return the whole shape of each tensor."""
    return {name: list(value.shape) for name, value in held.items()}
