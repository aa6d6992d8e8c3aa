"""The feed-forward of a block, gated (Shazeer 2020, https://arxiv.org/abs/2002.05202) or plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Activation, Shape
from scalescope.training.blocks.starts import reads, writes

ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu-tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}


def activation_of(shape: Shape) -> Activation:
    """Return the non-linearity of a shape."""
    return shape.activation or ("silu" if shape.gated else "gelu")


class FeedForward(nn.Module):
    """Wider, through a non-linearity, and back."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        gated: bool = True,
        bias: bool = False,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation or ("silu" if gated else "gelu")]
        self.gate = reads(width, hidden, bias=bias) if gated else None
        self.up = reads(width, hidden, bias=bias)
        self.down = writes(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the stream."""
        if self.gate is None:
            return self.down(self.activation(self.up(x)))  # type: ignore[no-any-return]
        return self.down(self.activation(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]
