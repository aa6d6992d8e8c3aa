"""Sorting tokens by the bucket of their hash, without random order in its gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def hash_buckets(vectors: Tensor, rotations: Tensor, buckets: tuple[int, ...]) -> Tensor:
    """Hash vectors by the nearest of random directions and their opposites (Andoni et al. 2015).

    https://arxiv.org/abs/1509.02897; with several factors the bucket is made of one digit a factor.

    Parameters
    ----------
    vectors
        (batch, heads, time, size).
    rotations
        Directions, (heads, size, rounds, half the sum of `buckets`).
    buckets
        Even factors of the number of buckets.

    Returns
    -------
    Tensor
        (batch, heads, rounds, time), from 0.
    """
    turned = torch.einsum("bhts,hsrd->bhrtd", vectors, rotations)
    found = torch.zeros(turned.shape[:-1], dtype=torch.int64, device=vectors.device)
    place = 1
    parts = torch.split(turned, [each // 2 for each in buckets], -1)
    for factor, part in zip(buckets, parts, strict=True):
        found += place * torch.cat((part, -part), -1).argmax(-1)
        place *= factor
    return found


def order_of(buckets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the order that sorts (..., time) by bucket, then by time, and the order that undoes it."""
    order = torch.argsort(buckets, dim=-1, stable=True)
    places = torch.arange(buckets.shape[-1], device=buckets.device).expand_as(order)
    return order, torch.empty_like(order).scatter_(-1, order, places)


def reorder(x: Tensor, order: Tensor, undo: Tensor) -> Tensor:
    """Take the tokens of (..., time, width) in an order."""
    return _Reorder.apply(x, order, undo)  # type: ignore[no-any-return, no-untyped-call]


class _Reorder(torch.autograd.Function):
    """Its gradient takes tokens in the opposite order: a gather, where autograd would add in any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, undo: Tensor) -> Tensor:
        ctx.save_for_backward(order, undo)
        return x.gather(-2, order.unsqueeze(-1).expand(*order.shape, x.shape[-1]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        order, undo = ctx.saved_tensors
        return reorder(gradients[0], undo, order), None, None
