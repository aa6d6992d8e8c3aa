"""Multi-head latent attention: keys and values through one narrow matrix (DeepSeek-V2).

A head's queries and keys have a part without positions and a rotary part; that of the keys is one for all
heads (https://arxiv.org/abs/2405.04434, section 2.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.attention import EPSILON, Attention
from scalescope.training.blocks.rotary import turn, turns_of
from scalescope.training.blocks.starts import reads, writes


class LatentMixer(Attention):
    """Softmax attention of all tokens over latent keys and values."""

    def __init__(self, shape: Shape) -> None:
        nn.Module.__init__(self)
        latent = shape.latent
        assert latent is not None
        width, heads, rank = shape.width, shape.n_heads, latent.key_value_rank
        self.sizes, self.causal = latent, shape.causal
        inputs = latent.query_rank or width
        self.query_down = reads(width, latent.query_rank) if latent.query_rank else None
        self.narrow_norm = nn.RMSNorm(inputs, eps=EPSILON) if latent.query_rank else nn.Identity()
        self.query = reads(inputs, heads * (latent.nope + latent.rotary))
        self.latent_down = reads(width, rank + latent.rotary)
        self.latent_norm = nn.RMSNorm(rank, eps=EPSILON)
        self.key_value = reads(rank, heads * (latent.nope + latent.value))
        self.out = writes(heads * latent.value, width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Mix tokens; see `protocol.Mixes`."""
        sizes = self.sizes
        low = x if self.query_down is None else self.narrow_norm(self.query_down(x))
        query = self._split(self.query(low), sizes.nope + sizes.rotary)
        narrow, turned = torch.split(self.latent_down(x), [sizes.key_value_rank, sizes.rotary], -1)
        both = self._split(self.key_value(self.latent_norm(narrow)), sizes.nope + sizes.value)
        key, value = torch.split(both, [sizes.nope, sizes.value], -1)
        turns = turns_of(positions, sizes.rotary)
        still, moving = torch.split(query, [sizes.nope, sizes.rotary], -1)
        shared = turn(turned.unsqueeze(1), turns).expand(-1, key.shape[1], -1, -1)
        query = torch.cat((still, turn(moving, turns)), -1)
        mixed = self.attend(query, torch.cat((key, shared), -1), value, positions)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    @staticmethod
    def _split(x: Tensor, size: int) -> Tensor:
        return torch.unflatten(x, -1, (-1, size)).transpose(1, 2)
