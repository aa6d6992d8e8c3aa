"""Pure arithmetic of an architecture and a machine: parameters, FLOP, bytes, memory, time, devices."""

from scalescope.cost.anatomy import Anatomy, AttentionLayers, Matrix, Positions, Side, Span
from scalescope.cost.flop import CONVENTIONS, Convention, convert_utilisation, flop_per_token
from scalescope.cost.groups import Group
from scalescope.cost.parts import (
    ACTIVATIONS,
    BALANCES,
    MIXERS,
    Activation,
    Balance,
    Experts,
    Hashing,
    LatentAttention,
    Linear,
    Mixer,
    Patches,
    StateSpace,
)
from scalescope.cost.shape import COUNTS, Count, Shape

__all__ = [
    "ACTIVATIONS",
    "BALANCES",
    "CONVENTIONS",
    "COUNTS",
    "MIXERS",
    "Activation",
    "Anatomy",
    "AttentionLayers",
    "Balance",
    "Convention",
    "Count",
    "Experts",
    "Group",
    "Hashing",
    "LatentAttention",
    "Linear",
    "Matrix",
    "Mixer",
    "Patches",
    "Positions",
    "Shape",
    "Side",
    "Span",
    "StateSpace",
    "convert_utilisation",
    "flop_per_token",
]
