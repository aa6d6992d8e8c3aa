"""The feed-forward of a block, gated (Shazeer 2020, https://arxiv.org/abs/2002.05202) or plain."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.training.blocks.starts import reads, writes


class FeedForward(nn.Module):
    """Wider, through a non-linearity, and back."""

    def __init__(self, width: int, hidden: int, *, gated: bool = True, bias: bool = False) -> None:
        super().__init__()
        self.gate = reads(width, hidden, bias=bias) if gated else None
        self.up = reads(width, hidden, bias=bias)
        self.down = writes(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the stream."""
        if self.gate is None:
            return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]
        return self.down(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]
