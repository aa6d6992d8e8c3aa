"""One layer: a mixer, then a feed-forward, each normed before and added to the stream."""

from __future__ import annotations

from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.experts import ExpertFeedForward
from scalescope.training.blocks.feed_forward import FeedForward
from scalescope.training.blocks.mixers import build_mixer

EPSILON = 1e-6


class Block(nn.Module):
    """Layer number `layer` of a shape; one without a feed-forward is a mixer alone."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        feed = make_feed(shape, layer)
        self.mixer_norm = make_norm(shape)
        self.mixer = build_mixer(shape.mixers[layer], shape)
        self.feed_norm = None if feed is None else make_norm(shape)
        self.feed = feed

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return the stream after this layer, (batch, time, width)."""
        x = x + self.mixer(self.mixer_norm(x), positions)
        if self.feed is None or self.feed_norm is None:
            return x
        return x + self.feed(self.feed_norm(x))  # type: ignore[no-any-return]


def make_feed(shape: Shape, layer: int) -> nn.Module | None:
    """Make the feed-forward of a layer: experts, a plain one, or none."""
    if shape.experts is not None and shape.experts.has(layer):
        return ExpertFeedForward(shape)
    if not shape.feed_forward:
        return None
    return FeedForward(
        shape.width, shape.feed_forward, gated=shape.gated, bias=shape.biases, activation=shape.activation
    )


def make_norm(shape: Shape) -> nn.Module:
    """Make the norm of a shape."""
    return (nn.RMSNorm if shape.norm == "rms" else nn.LayerNorm)(shape.width, eps=EPSILON)
