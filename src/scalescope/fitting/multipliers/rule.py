"""How a verdict follows from a multiplier and its growth: the rule as data, the same for every study.

In this order, with intervals at the level of the result:

1. grows, fades: the interval of the growth leaves out 1, and its value is beyond `least` a decade;
2. none: the multiplier's interval holds 1 at half or more of the measured budgets, and that of the pairs of
   equal settings, which see smaller differences since no law's freedom is in them, at one or more;
3. holds: the interval of the growth lies within `band` a decade;
4. unclear: anything else.

Half and not all: intervals of several budgets each have their chance to miss, and with all of them a fifth of
the studies of nothing found a gain (`benchmarks/multipliers.py`). Growth is of what the lever does: that of a
variant which needs more compute grows when its multiplier falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scalescope.points import Estimate

Verdict = Literal["grows", "holds", "fades", "unclear", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The numbers of the rule."""

    band: float = 1.25
    """Factor a decade of compute within which a gain holds."""
    least: float = 1.05
    """Factor a decade that a change must have, beside its interval leaving out 1, to be called one."""
    alpha: float = 0.05
    """p below which exponents are not shared."""

    def verdict(
        self, multipliers: Sequence[Estimate], growth: Estimate, matched: Sequence[Estimate] = ()
    ) -> Verdict:
        """Judge a variant.

        Parameters
        ----------
        multipliers
            At the measured budgets, cheapest first.
        growth
            Factor by which the multiplier changes over a decade of compute.
        matched
            The second estimate, from pairs of equal settings, at the same budgets; those unknown are nan.
        """
        leaves = growth.low > 1 or growth.high < 1
        if leaves and max(growth.value, 1 / growth.value) >= self.least:
            gains = multipliers[-1].value >= 1
            return "grows" if (growth.value > 1) == gains else "fades"
        known = [one for one in matched if not math.isnan(one.value)]
        n_ones, n_ones_of_pairs = (sum(_holds_one(one) for one in each) for each in (multipliers, known))
        if 2 * n_ones >= len(multipliers) and (n_ones_of_pairs or not known):
            return "none"
        if 1 / self.band <= growth.low and growth.high <= self.band:
            return "holds"
        return "unclear"


def _holds_one(estimate: Estimate) -> bool:
    return estimate.low <= 1 <= estimate.high


RULE: Final = Rule()
