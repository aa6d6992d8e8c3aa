"""The ladder on which arms are compared: the same sizes, tokens, seeds and data order for every one of them.

Sizes grow geometrically, and every size is measured at the same ratios of tokens to parameters, on one trunk.
The cheaper half of the sizes is trained with every seed: that is the noise below which no gain can be told.
"""

from __future__ import annotations

import math

from scalescope.studies.design import LADDER_RATIO, Design, Rung, expected_size, of_sizes, rung_of
from scalescope.studies.sizes import Sizes, size_of

TOKENS_PER_PARAM = (8.0, 16.0, 32.0)
"""Of every size; about 20 are best on text for shapes of this family, so that the best is in between."""


def lay_comparison(lowest: float, *, n_budgets: int, sizes: Sizes, seeds: int, seed: int) -> Design:
    """Lay a ladder of `n_budgets` sizes, the smallest that which `lowest` FLOP would be spent on."""
    rungs: list[Rung] = []
    first = expected_size(lowest)
    for index in range(n_budgets):
        shape = sizes.nearest(first * LADDER_RATIO**index)
        if any(rung.shape == shape for rung in rungs):
            continue
        rungs.append(rung_of(shape, seed, [6 * size_of(shape) ** 2 * ratio for ratio in TOKENS_PER_PARAM]))
    cheaper = rungs[: (len(rungs) + 1) // 2]
    again = (
        rung_of(rung.shape, seed + extra, list(rung.budgets)) for extra in range(1, seeds) for rung in cheaper
    )
    return Design(
        kind="comparison",
        budgets=tuple(rung.compute for rung in rungs),
        rungs=(*rungs, *again),
        held_out_compute=0.0,
        **of_sizes(sizes),
    )


def decades(design: Design) -> float:
    """Return the orders of magnitude of compute between the cheapest point and the dearest."""
    budgets = [budget for rung in design.rungs for budget in rung.budgets]
    return math.log10(max(budgets) / min(budgets))
