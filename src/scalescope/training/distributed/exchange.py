"""Collectives with gradients, for tensors of one's own.

What comes back is laid out in memory first: gloo reads memory in order whatever the strides say, and gives
wrong sums for transposed gradients without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import _functional_collectives as functional

# torch 2.13 calls them so; before, and deprecated since, their names ended in `tensor`
_all_gather: Callable[..., Tensor] = (
    getattr(functional, "all_gather_single", None) or functional.all_gather_tensor
)
_reduce_scatter: Callable[..., Tensor] = (
    getattr(functional, "reduce_scatter_single", None) or functional.reduce_scatter_tensor
)


def gather(own: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Stack what all ranks have, (ranks, ...); the gradient is the sum of what they say of one's own."""
    stacked: Tensor = _Gather.apply(own.unsqueeze(0), group)  # type: ignore[no-untyped-call]
    return stacked


def swap(rows: Tensor, sent: list[int], received: list[int], group: dist.ProcessGroup) -> Tensor:
    """Send each rank some of the rows, in order, and return what they send, in the order of the ranks."""
    swapped: Tensor = _Swap.apply(rows, sent, received, group)  # type: ignore[no-untyped-call]
    return swapped


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return _done(_all_gather(own.contiguous(), 0, group))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _done(_reduce_scatter(grad.contiguous(), "sum", 0, ctx.group)), None


class _Swap(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: dist.ProcessGroup
    ) -> Tensor:
        ctx.kept = sent, received, group
        return _done(functional.all_to_all_single(rows.contiguous(), received, sent, group))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        sent, received, group = ctx.kept
        back = functional.all_to_all_single(grad.contiguous(), sent, received, group)
        return _done(back), None, None, None


def _done(pending: Tensor) -> Tensor:
    """Wait for a collective."""
    return pending.wait() if isinstance(pending, functional.AsyncCollectiveTensor) else pending
