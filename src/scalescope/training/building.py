"""From a shape to the model that trains it: the stacked one where it can, the general network elsewhere."""

from __future__ import annotations

from scalescope.cost import Shape
from scalescope.training.network import Network
from scalescope.training.stacked.transformer import StackedTransformer

Model = StackedTransformer | Network


def is_stacked(shape: Shape) -> bool:
    """Whether a shape belongs to the dense default family, which the stacked model computes."""
    plain = Shape(
        width=shape.width,
        n_layers=shape.n_layers,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        feed_forward=shape.feed_forward,
        vocabulary=shape.vocabulary,
        context=shape.context,
        tied=shape.tied,
    )
    return shape == plain


def build_model(shape: Shape) -> Model:
    """Make the model of a shape, its parameters drawn from torch's generator."""
    return StackedTransformer(shape) if is_stacked(shape) else Network(shape)
