"""Softmax attention with grouped key/value heads (Ainslie et al. 2023, https://arxiv.org/abs/2305.13245)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.rotary import turn, turns_of
from scalescope.training.blocks.starts import reads, writes

EPSILON = 1e-6


class HeadNorm(nn.RMSNorm):
    """A norm in the numbers of what it reads: heads are in half precision under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normed heads."""
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Every token sees all before it, or all where the shape is an encoder's."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size, heads, kv_heads = shape.head_size, shape.n_heads, shape.n_kv_heads
        self.head_size, self.causal, self.rotary = size, shape.causal, shape.positions == "rotary"
        self.query = reads(shape.width, heads * size, bias=shape.biases or shape.query_biases)
        self.key = reads(shape.width, kv_heads * size, bias=shape.biases or shape.query_biases)
        self.value = reads(shape.width, kv_heads * size, bias=shape.biases or shape.query_biases)
        self.out = writes(heads * size, shape.width, bias=shape.biases)
        self.query_norm = HeadNorm(size, eps=EPSILON) if shape.head_norms else nn.Identity()
        self.key_norm = HeadNorm(size, eps=EPSILON) if shape.head_norms else nn.Identity()

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Mix tokens; see `protocol.Mixes`."""
        query, key, value = (self._heads(matrix(x)) for matrix in (self.query, self.key, self.value))
        query, key = self.query_norm(query), self.key_norm(key)
        if self.rotary:
            turns = turns_of(positions, self.head_size, dtype=query.dtype)
            query, key = turn(query, turns), turn(key, turns)
        mixed = self.attend(query, key, value, positions)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002
        """Return what every query gathers, (batch, heads, time, head_size).

        Ranks that share a sequence replace this; see `scalescope.training.distributed`.
        """
        return F.scaled_dot_product_attention(
            query, key, value, is_causal=self.causal, enable_gqa=query.shape[1] != key.shape[1]
        )

    def _heads(self, x: Tensor) -> Tensor:
        # -1, since a rank of tensor parallelism has only some of the heads
        return torch.unflatten(x, -1, (-1, self.head_size)).transpose(1, 2)
