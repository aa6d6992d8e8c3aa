r"""How learning rates move along a run: a share of their peaks at every token.

All begin with a linear warm-up. `wsd` stays there and, in a branch of each horizon, cools down along
:math:`1 - \sqrt{x}` (Hägele et al. 2024, https://arxiv.org/abs/2405.18392); `constant` stays. `cosine`
(Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983) and `linear` fall from the end of the warm-up to
the end of a run, which must be known from its start: each horizon is then a run of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from scalescope.training.recipe import Recipe

Share = Callable[[float], float]
"""From a token to the share of the peak."""


def trunk(warmup: float) -> Share:
    """Warm up and stay."""
    return lambda at: min(1.0, at / warmup)


def cooldown(recipe: Recipe, warmup: float, start: float, horizon: float) -> Share:
    """Fall from token `start` to the horizon, after a trunk."""
    length = max(horizon - start, 1.0)

    def share(at: float) -> float:
        left = 1 - math.sqrt(min(1.0, max(0.0, at - start) / length))
        return min(1.0, at / warmup) * (recipe.floor + (1 - recipe.floor) * left)

    return share


def whole(recipe: Recipe, warmup: float, horizon: float) -> Share:
    """Warm up and fall all the way to the horizon."""
    fall = FALLING[recipe.schedule]
    length = max(horizon - warmup, 1.0)

    def share(at: float) -> float:
        left = fall(min(1.0, max(0.0, at - warmup) / length))
        return min(1.0, at / warmup) * (recipe.floor + (1 - recipe.floor) * left)

    return share


FALLING: Mapping[str, Callable[[float], float]] = {
    "cosine": lambda x: 0.5 * (1 + math.cos(math.pi * x)),
    "linear": lambda x: 1 - x,
}
"""What is left of the peak after a share of the way."""
