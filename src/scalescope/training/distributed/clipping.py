"""The norm of all gradients wherever their parts lie, and clipping by it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial

from scalescope.training.distributed.mesh import Ranks


def settle(params: Iterable[Tensor]) -> None:
    """Add up gradients of which ranks hold only terms, where a weight is whole but its inputs were shared."""
    for param in params:
        grad = param.grad
        if isinstance(grad, DTensor) and any(isinstance(one, Partial) for one in grad.placements):
            assert isinstance(param, DTensor)
            param.grad = grad.redistribute(placements=param.placements)


def squares(params: Iterable[Tensor], ranks: Ranks) -> Tensor:
    """Return this rank's share of the squared norm: the sum over all ranks is that of the whole gradient.

    A rank's part of a gradient lies on all ranks of its stage but those that hold other parts: it counts for
    the number of parts over the number of ranks.
    """
    layout = ranks.layout
    total = torch.zeros((), dtype=torch.float64, device=ranks.device)
    for param in params:
        if param.grad is not None:
            local = param.grad.to_local() if isinstance(param.grad, DTensor) else param.grad
            holders = layout.devices // layout.pp / _parts(param.grad)
            total += local.detach().double().square().sum() / holders
    return total


def clip(params: Iterable[Tensor], norm: float, most: float) -> None:
    """Scale all gradients down so that their norm is at most `most`."""
    share = min(1.0, most / (norm + 1e-6))
    for param in params:
        if param.grad is not None and share < 1.0:
            local = param.grad.to_local() if isinstance(param.grad, DTensor) else param.grad
            local.mul_(share)


def over_all(values: Tensor) -> Tensor:
    """Add something up over all ranks, in place."""
    dist.all_reduce(values)
    return values


def _parts(grad: Tensor) -> int:
    if not isinstance(grad, DTensor):
        return 1
    mesh = grad.device_mesh
    cuts = (mesh.size(axis) for axis, one in enumerate(grad.placements) if not one.is_replicate())
    parts = 1
    for cut in cuts:
        parts *= cut
    return parts
