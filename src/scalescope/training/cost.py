"""What a trial costs, in tokens pushed through the model."""

from __future__ import annotations

from collections.abc import Sequence

from scalescope.cost import Shape
from scalescope.training.recipe import Recipe


def tokens_trained(recipe: Recipe, shape: Shape, horizons: Sequence[int], evaluation_tokens: int) -> float:
    """Count the tokens of trunk, branches and evaluations; one evaluated costs a third of one trained."""
    total = trunk = 0.0
    for horizon in horizons:
        branch = recipe.branch_point(horizon, shape.context)
        total += max(branch - trunk, 0.0) + (horizon - branch) + evaluation_tokens / 3
        trunk = max(trunk, branch)
    return total
