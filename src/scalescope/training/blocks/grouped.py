"""One product for each group of rows: rows sorted by expert times a stack of the experts' matrices."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed.tensor import DTensor

ALIGNED_BYTES = 16
"""Row lengths that torch's grouped product asks for are multiples of it."""


def grouped_product(rows: Tensor, stack: Tensor, counts: Tensor) -> Tensor:
    """Multiply every group of rows by the transpose of its matrix.

    Parameters
    ----------
    rows
        (rows, inputs), those of group 0 first.
    stack
        (groups, outputs, inputs).
    counts
        Rows of each group, (groups,); whole numbers.

    Returns
    -------
    Tensor
        (rows, outputs).
    """
    if isinstance(stack, DTensor):  # the experts that this rank has
        stack = stack.to_local()
    if torch.is_autocast_enabled(rows.device.type):
        dtype = torch.get_autocast_dtype(rows.device.type)
        rows, stack = rows.to(dtype), stack.to(dtype)
    if _fits(rows, stack):
        return _Contiguous.apply(F.grouped_mm(rows, stack.mT, offs=counts.cumsum(0).int()))  # type: ignore[no-any-return, no-untyped-call]
    return _OneByOne.apply(rows, stack, counts)  # type: ignore[no-any-return, no-untyped-call]


def _fits(rows: Tensor, stack: Tensor) -> bool:
    """Whether torch's own grouped product takes these sizes and types."""
    aligned = all(size * stack.element_size() % ALIGNED_BYTES == 0 for size in stack.shape[1:])
    return aligned and rows.dtype in (torch.float32, torch.bfloat16, torch.float16) and len(rows) > 0


class _Contiguous(torch.autograd.Function):
    """Lays the gradient out row by row: torch's grouped product refuses one that is expanded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.detach()  # no view, which sharded modules must not return

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        return grad.contiguous()


class _OneByOne(torch.autograd.Function):
    """A product a group, for sizes and types that torch's grouped product refuses."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, stack: Tensor, counts: Tensor) -> Tensor:
        sizes: list[int] = counts.tolist()
        ctx.save_for_backward(rows, stack)
        ctx.sizes = sizes
        out = rows.new_empty(len(rows), stack.shape[1])
        for part, matrix, to in zip(torch.split(rows, sizes), stack, torch.split(out, sizes), strict=True):
            torch.mm(part, matrix.mT, out=to)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        rows, stack = ctx.saved_tensors
        of_rows, of_stack = torch.empty_like(rows), torch.empty_like(stack)
        split = (torch.split(tensor, ctx.sizes) for tensor in (rows, grad, of_rows))
        for part, out, to, matrix, to_matrix in zip(*split, stack, of_stack, strict=True):
            torch.mm(out, matrix, out=to)
            torch.mm(out.mT, part, out=to_matrix)
        return of_rows, of_stack, None
