r"""Linear attention whose state decays by a constant of each head (Sun et al. 2023).

The published block (https://arxiv.org/abs/2307.08621) in the form that large models took up (lightning
attention, MiniMax-01, https://arxiv.org/abs/2501.08313): queries, keys and values pass SiLU, the decays
:math:`\exp(-2^{-8 h / H})` of heads 1 to H stand in place of rotary positions, one RMSNorm spans all heads,
and the gate is a sigmoid. MiniMax also lets decays weaken with depth; here every layer has those of its
first. All heads have keys of their own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.attention import EPSILON
from scalescope.training.blocks.scan import decayed_scan
from scalescope.training.blocks.starts import reads, writes


class Retention(nn.Module):
    """Reads from the past and never from the future: for decoders."""

    rates: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        assert shape.linear is not None
        heads, size, self.chunk = shape.n_heads, shape.head_size, shape.linear.chunk
        keys, values = heads * size, heads * size * shape.linear.expand
        self.heads = heads
        self.query, self.key = reads(shape.width, keys), reads(shape.width, keys)
        self.value, self.gate = reads(shape.width, values), reads(shape.width, values)
        self.norm = nn.RMSNorm(values, eps=EPSILON)
        self.out = writes(values, shape.width)
        self.register_buffer("rates", 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002
        """Mix tokens; see `protocol.Mixes`."""
        query, key, value = (self._heads(F.silu(matrix(x))) for matrix in (self.query, self.key, self.value))
        log_decay = -self.rates.view(1, -1, 1, 1)
        read = decayed_scan(query, key, value.unsqueeze(2), log_decay, self.chunk)
        normed = self.norm(read.squeeze(2).transpose(1, 2).flatten(2).to(x.dtype))
        return self.out(torch.sigmoid(self.gate(x)) * normed)  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)
