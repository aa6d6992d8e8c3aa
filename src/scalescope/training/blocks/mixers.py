"""The registry of mixers: a name of `Shape.mixers` to what builds it.  A new one is one file and one line."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from scalescope.cost import Mixer, Shape
from scalescope.training.blocks.attention import Attention
from scalescope.training.blocks.protocol import Builder

BUILDERS: Mapping[Mixer, Builder] = {"full": Attention}


def build_mixer(name: Mixer, shape: Shape) -> nn.Module:
    """Make one layer's mixer."""
    return BUILDERS[name](shape)
