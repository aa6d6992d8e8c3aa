"""What one trial is, as plain values that cross a pipe; `trial` runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from scalescope.corpora.reading import Reading
from scalescope.cost import Shape
from scalescope.cost.layout import Layout
from scalescope.training.recipe import Recipe

Precision = Literal["fp32", "bf16", "fp16", "int8", "fp8"]
TaskName = Literal["next-token", "masked", "images"]


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
    task: TaskName = "next-token"
    precision: Precision = "fp32"
    reading: Reading = field(default_factory=Reading)
    """How a text is read: its mixture, order and how much of it."""
    start: str = ""
    """File of weights that another trial kept, to begin from; empty to begin anew."""
    layout: Layout = field(default_factory=Layout)
    """How one trial is spread over processes."""
    threads: int = 1
    evaluation_tokens: int = 131_072
    seconds: float = math.inf
    """Wall-clock limit; horizons that cannot be reached within it are left out and reported."""
