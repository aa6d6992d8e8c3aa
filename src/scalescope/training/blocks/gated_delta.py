"""A block that corrects its memory: the gated delta rule (Yang et al. 2024, https://arxiv.org/abs/2412.06464).

The block of the paper and of Qwen3-Next: short convolutions, queries and keys of length 1, decays from a step
of each token as in Mamba-2, and a gated norm of each head. All heads have keys of their own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.attention import EPSILON
from scalescope.training.blocks.convolution import ShortConvolution
from scalescope.training.blocks.decays import start_rates, start_steps
from scalescope.training.blocks.delta import gated_delta_scan
from scalescope.training.blocks.scan import wide
from scalescope.training.blocks.starts import reads, writes


class GatedDelta(nn.Module):
    """Reads from the past and never from the future: for decoders."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        linear = shape.linear
        assert linear is not None
        self.heads, self.chunk = shape.n_heads, linear.chunk
        keys = shape.n_heads * shape.head_size
        values = keys * linear.expand
        self.query, self.key = reads(shape.width, keys), reads(shape.width, keys)
        self.value, self.gate = reads(shape.width, values), reads(shape.width, values)
        self.strength, self.step = reads(shape.width, self.heads), reads(shape.width, self.heads)
        self.query_filter, self.key_filter, self.value_filter = (
            ShortConvolution(channels, linear.kernel, bias=False) for channels in (keys, keys, values)
        )
        self.log_rates, self.step_bias = start_rates(self.heads, least=0.01), start_steps(self.heads)
        self.norm = nn.RMSNorm(values // self.heads, eps=EPSILON)
        self.out = writes(values, shape.width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002
        """Mix tokens; see `protocol.Mixes`."""
        query = _of_length_1(self._heads(self.query_filter(self.query(x))))
        key = _of_length_1(self._heads(self.key_filter(self.key(x))))
        value = self._heads(self.value_filter(self.value(x)))
        step = F.softplus(wide(self.step(x)) + self.step_bias)
        log_decay = -(self.log_rates.exp() * step).transpose(1, 2)
        strength = torch.sigmoid(wide(self.strength(x))).transpose(1, 2)
        query = query * query.shape[-1] ** -0.5
        read = gated_delta_scan(query, key, value, log_decay, strength, self.chunk).transpose(1, 2)
        normed = self.norm(read.to(x.dtype)).flatten(2)
        return self.out(normed * F.silu(self.gate(x)))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)


def _of_length_1(x: Tensor) -> Tensor:
    x = wide(x)
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + EPSILON)
