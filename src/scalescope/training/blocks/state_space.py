"""The Mamba-2 block (Dao & Gu 2024, https://arxiv.org/abs/2405.21060): a selective state space in chunks."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.attention import EPSILON
from scalescope.training.blocks.convolution import ShortConvolution
from scalescope.training.blocks.decays import start_rates, start_steps
from scalescope.training.blocks.scan import decayed_scan, wide
from scalescope.training.blocks.starts import reads, writes


class StateSpaceMixer(nn.Module):
    """Reads from the past and never from the future: for decoders.

    The published block has one matrix for all that it reads; here each part has its own, so that optimisers
    of matrices and ranks of tensor parallelism take them apart.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        space = shape.state_space
        assert space is not None
        inner, maps = space.expand * shape.width, 2 * space.groups * space.state
        self.groups, self.head_size, self.chunk = space.groups, space.head_size, space.chunk
        heads = inner // space.head_size
        self.gate, self.value = reads(shape.width, inner), reads(shape.width, inner)
        self.maps, self.step = reads(shape.width, maps), reads(shape.width, heads)
        self.value_filter = ShortConvolution(inner, space.kernel, bias=True)
        self.map_filter = ShortConvolution(maps, space.kernel, bias=True)
        self.log_rates, self.step_bias = start_rates(heads, least=1.0), start_steps(heads)
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = nn.Parameter(torch.ones(inner))
        self.out = writes(inner, shape.width)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002
        """Mix tokens; see `protocol.Mixes`."""
        step = F.softplus(wide(self.step(x)) + self.step_bias)
        value = wide(self._heads(self.value_filter(self.value(x)), self.head_size))
        into, out_of = torch.unflatten(self.map_filter(self.maps(x)), -1, (2, self.groups, -1)).unbind(2)
        read = decayed_scan(
            out_of.transpose(1, 2),
            into.transpose(1, 2),
            value * self._heads(step, 1),
            self._heads(-self.log_rates.exp() * step, 1).squeeze(-1),
            self.chunk,
        )
        read = read + value * self.skip.view(self.groups, -1, 1, 1)
        return self.out(self._gated(read.permute(0, 3, 1, 2, 4).flatten(2), x))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor, size: int) -> Tensor:
        """Cut (batch, time, channels) into (batch, groups, heads of one, time, size)."""
        return torch.unflatten(x, -1, (self.groups, -1, size)).permute(0, 2, 3, 1, 4)

    def _gated(self, read: Tensor, x: Tensor) -> Tensor:
        """Gate, then norm the channels of each group."""
        gated = torch.unflatten(read * F.silu(wide(self.gate(x))), -1, (self.groups, -1))
        normed = F.rms_norm(gated, gated.shape[-1:], eps=EPSILON).flatten(2)
        return (normed * self.norm).to(x.dtype)
