"""Levers as compute multipliers: how much compute the baseline needs for the loss that a variant reaches."""

from scalescope.fitting.multipliers.estimation import compute_multipliers
from scalescope.fitting.multipliers.result import (
    Frontier,
    Lever,
    MatchedPair,
    MultiplierPoint,
    Multipliers,
    SeedNoise,
    SharingTest,
)
from scalescope.fitting.multipliers.rule import RULE, Rule, Verdict

__all__ = [
    "RULE",
    "Frontier",
    "Lever",
    "MatchedPair",
    "MultiplierPoint",
    "Multipliers",
    "Rule",
    "SeedNoise",
    "SharingTest",
    "Verdict",
    "compute_multipliers",
]
