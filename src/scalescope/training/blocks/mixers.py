"""The registry of mixers: a name of `Shape.mixers` to what builds it.  A new one is one file and one line."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from scalescope.cost import Mixer, Shape
from scalescope.errors import InputError
from scalescope.training.blocks.attention import Attention
from scalescope.training.blocks.gated_delta import GatedDelta
from scalescope.training.blocks.hashed import HashedAttention
from scalescope.training.blocks.latent import LatentMixer
from scalescope.training.blocks.protocol import Builder
from scalescope.training.blocks.retention import Retention
from scalescope.training.blocks.state_space import StateSpaceMixer
from scalescope.training.blocks.window import WindowAttention

BUILDERS: Mapping[Mixer, Builder] = {
    "full": Attention,
    "window": WindowAttention,
    "hashed": HashedAttention,
    "retention": Retention,
    "gated-delta": GatedDelta,
    "mamba2": StateSpaceMixer,
}


def build_mixer(name: Mixer, shape: Shape) -> nn.Module:
    """Make one layer's mixer.

    Raises
    ------
    InputError
        If a shape with latent attention has a mixer that has no latent form.
    """
    if shape.latent is None or name in ("retention", "gated-delta", "mamba2"):
        return BUILDERS[name](shape)
    if name != "full":
        raise InputError(
            f"{name} layers have no latent form",
            hint="Let the layers with attention of a shape with `latent` be full ones.",
        )
    return LatentMixer(shape)
