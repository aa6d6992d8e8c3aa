"""One layer: a mixer, then a feed-forward, each normed before and added to the stream."""

from __future__ import annotations

from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.feed_forward import FeedForward
from scalescope.training.blocks.mixers import build_mixer

EPSILON = 1e-6


class Block(nn.Module):
    """Layer number `layer` of a shape."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.mixer_norm = make_norm(shape)
        self.mixer = build_mixer(shape.mixers[layer], shape)
        self.feed_norm = make_norm(shape)
        self.feed = FeedForward(shape.width, shape.feed_forward, gated=shape.gated, bias=shape.biases)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return the stream after this layer, (batch, time, width)."""
        x = x + self.mixer(self.mixer_norm(x), positions)
        return x + self.feed(self.feed_norm(x))  # type: ignore[no-any-return]


def make_norm(shape: Shape) -> nn.Module:
    """Make the norm of a shape."""
    return (nn.RMSNorm if shape.norm == "rms" else nn.LayerNorm)(shape.width, eps=EPSILON)
