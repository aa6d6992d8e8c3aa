"""What a study holds fixed over all its trials."""

from __future__ import annotations

from dataclasses import dataclass, field

from scalescope.studies.design import Kind
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Precision
from scalescope.units import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user asked of a study, defaults filled in."""

    budget: Budget
    design: Kind = "isoflop"
    context: int = 128
    """Sequence length in tokens."""
    precision: Precision = "fp32"
    recipe: Recipe = field(default_factory=Recipe)
    """Before its rate is measured."""
    evaluation_tokens: int = 131_072
    seed: int = 0
    held_out_seeds: int = 2
    """Trainings of the held-out rung; they run side by side and are averaged."""
