"""What a study holds fixed over all its trials, and what it varies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scalescope.cost.layout import Layout
from scalescope.studies.design import Kind
from scalescope.training.levers import Variant
from scalescope.training.recipe import Recipe
from scalescope.training.shape_options import ShapeOptions
from scalescope.training.trial_settings import Precision, TaskName
from scalescope.units import Budget

MAX_EPOCHS = 4.0
"""Times that the longest run may read the corpus unless more is asked for."""


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
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    """What all shapes have in place of the family's."""
    task: TaskName = "next-token"
    max_epochs: float = MAX_EPOCHS
    layout: Layout = field(default_factory=Layout)
    """How each trial is spread over processes."""
    vary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Levers by name with their values as text, the baseline's first; empty in a study of one recipe."""
    target: Mapping[str, float] = field(default_factory=dict)
    """Of a study over mixtures: weight of each source's loss; those of the recipe if empty."""

    @property
    def variant(self) -> Variant:
        """What holds before anything is varied."""
        return Variant(recipe=self.recipe, shape=self.shape, precision=self.precision)
