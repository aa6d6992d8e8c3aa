"""What a trial costs, in tokens pushed through the model."""

from __future__ import annotations

from collections.abc import Sequence

from scalescope.cost import Shape
from scalescope.training.recipe import Recipe


def tokens_trained(recipe: Recipe, shape: Shape, horizons: Sequence[int], evaluation_tokens: int) -> float:
    """Count the tokens of trunk, branches and evaluations; one evaluated costs a third of one trained.

    Under a schedule made for one horizon every horizon is trained from scratch.
    """
    evaluated = len(horizons) * evaluation_tokens / 3
    if not recipe.shares_trunk:
        return sum(horizons) + evaluated
    total = trunk = 0.0
    for horizon in horizons:
        branch = recipe.branch_point(horizon, shape.context)
        total += max(branch - trunk, 0.0) + (horizon - branch)
        trunk = max(trunk, branch)
    return total + evaluated
