"""What one trial is, as plain values that cross a pipe; `trial` runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from scalescope.cost import Shape
from scalescope.training.recipe import Recipe

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What to train: one shape, one seed, several horizons on one trunk."""

    name: str
    shape: Shape
    seed: int
    horizons: tuple[int, ...]
    """Tokens of each point, ascending."""
    first_horizon: int = 0
    """The warm-up is a share of this; the first of `horizons` when 0."""
    recipe: Recipe = field(default_factory=Recipe)
    precision: Precision = "fp32"
    threads: int = 1
    evaluation_tokens: int = 131_072
    seconds: float = math.inf
    """Wall-clock limit; horizons that cannot be reached within it are left out and reported."""
