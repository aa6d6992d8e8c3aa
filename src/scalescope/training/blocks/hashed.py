"""Attention among tokens of equal hash (Reformer, Kitaev et al. 2020, https://arxiv.org/abs/2001.04451).

One matrix makes queries and keys; keys are of length 1; a token sees itself only where it sees no other;
several rounds of hashes are weighed by their sums of exponentials.

The published block cuts the sorted sequence into chunks and lets a chunk see the one before. Where a chunk
ends depends on how many tokens *of the whole sequence* fall into earlier buckets, so that what a token sees
depends on tokens after it. Here a token sees the last `bucket` tokens of its own bucket, itself among them:
neighbours in the sorted order, found without knowing the future, at the same cost and as memory linear in the
length. In an encoder it sees `bucket` // 2 on either side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.cost.mixers import hash_factors
from scalescope.training.blocks.bands import band_of, blocks_of, neighbours
from scalescope.training.blocks.rotary import turn, turns_of
from scalescope.training.blocks.scan import wide
from scalescope.training.blocks.sorting import hash_buckets, order_of, reorder
from scalescope.training.blocks.starts import reads, writes

LAST_RESORT = -1e5
"""Score of a token with itself; finite, so that it counts where there is no other."""
NO_BUCKET = -1


class HashedAttention(nn.Module):
    """Directions of the hashes are drawn once and kept in checkpoints; all heads have keys of their own."""

    rotations: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        assert shape.hashing is not None
        heads, size, hashing = shape.n_heads, shape.head_size, shape.hashing
        self.heads, self.bucket, self.causal = heads, hashing.bucket, shape.causal
        self.rotary = shape.positions == "rotary"
        self.factors = hash_factors(shape.context, hashing.bucket)
        self.query_key = reads(shape.width, heads * size)
        self.value = reads(shape.width, heads * size)
        self.out = writes(heads * size, shape.width)
        directions = torch.randn(heads, size, hashing.rounds, sum(self.factors) // 2)
        self.register_buffer("rotations", directions)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Mix tokens; see `protocol.Mixes`."""
        query, value = (self._heads(matrix(x)) for matrix in (self.query_key, self.value))
        buckets = self.buckets_of(query)
        if self.rotary:
            query = turn(query, turns_of(positions, query.shape[-1]))
        mixed = self.attend(query, value, buckets).to(x.dtype)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    @torch.no_grad()
    def buckets_of(self, query: Tensor) -> Tensor:
        """Return the bucket of every token, (batch, heads, rounds, time); by content, not by place."""
        with torch.autocast(query.device.type, enabled=False):
            return hash_buckets(query.to(self.rotations.dtype), self.rotations, self.factors)

    def attend(self, query: Tensor, value: Tensor, buckets: Tensor) -> Tensor:
        """Return what every query gathers, (batch, heads, time, size), for given buckets of the tokens."""
        time, size = query.shape[-2:]
        order, undo = order_of(buckets)
        both = torch.cat((wide(query), wide(value)), -1).unsqueeze(2)
        ordered = reorder(both.expand(-1, -1, buckets.shape[2], -1, -1), order, undo)
        with torch.autocast(query.device.type, enabled=False):
            mixed, log_sum = self._within(ordered[..., :size], ordered[..., size:], buckets.gather(-1, order))
        found = torch.cat((mixed, log_sum), -1).flatten(-3, -2)[..., :time, :]
        mixed, log_sum = torch.split(reorder(found, undo, order), [size, 1], -1)
        return (mixed * log_sum.softmax(2)).sum(2)

    def _within(self, query: Tensor, value: Tensor, buckets: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to neighbours of the same bucket, all in sorted order; also the logarithm of the sums."""
        before = self.bucket - 1 if self.causal else self.bucket // 2
        after, block = (0, self.bucket) if self.causal else (before, max(1, before))
        key = query * torch.rsqrt(query.square().sum(-1, keepdim=True) + 1e-6 * query.shape[-1])
        queries, keys, values = (blocks_of(x, block) for x in (query, key, value))
        keys, values = (neighbours(x, after=after > 0) for x in (keys, values))
        scores = queries @ keys.mT
        scores = scores.masked_fill(~self._visible(buckets, block, before, after), float("-inf"))
        itself = band_of(block, before=0, after=0, device=query.device)
        scores[..., : itself.shape[1]].masked_fill_(itself, LAST_RESORT)
        log_sum = scores.logsumexp(-1, keepdim=True)
        return (scores - log_sum).exp() @ values, log_sum

    def _visible(self, buckets: Tensor, block: int, before: int, after: int) -> Tensor:
        """Whether a query sees a key: it is near in the sorted order, and of the same bucket."""
        mine = blocks_of(buckets.unsqueeze(-1) + 1, block) - 1  # what fills the end is of no bucket
        theirs = neighbours(mine, after=after > 0, fill=NO_BUCKET)
        return (mine == theirs.mT) & band_of(block, before=before, after=after, device=buckets.device)

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)
