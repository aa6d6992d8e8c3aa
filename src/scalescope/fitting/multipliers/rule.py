"""How a verdict follows from a multiplier and its growth: the rule as data, fixed before any run is seen.

In this order, with intervals at the level of the result:

1. grows, fades: the interval of the growth leaves out 1, and its value is beyond `least` a decade;
2. none: the multiplier's interval holds 1 at half or more of the measured budgets;
3. holds: the interval of the growth lies within `band` a decade;
4. unclear: anything else.

Half and not all: intervals of several budgets each have their chance to miss, and with all of them a fifth of
the studies of nothing found a gain (`benchmarks/multipliers.py`). Growth is of what the lever does: that of a
variant which needs more compute grows when its multiplier falls.
"""

from __future__ import annotations

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

    def verdict(self, multipliers: Sequence[Estimate], growth: Estimate) -> Verdict:
        """Judge a variant.

        Parameters
        ----------
        multipliers
            At the measured budgets, cheapest first.
        growth
            Factor by which the multiplier changes over a decade of compute.
        """
        leaves = growth.low > 1 or growth.high < 1
        if leaves and max(growth.value, 1 / growth.value) >= self.least:
            gains = multipliers[-1].value >= 1
            return "grows" if (growth.value > 1) == gains else "fades"
        if 2 * sum(one.low <= 1 <= one.high for one in multipliers) >= len(multipliers):
            return "none"
        if 1 / self.band <= growth.low and growth.high <= self.band:
            return "holds"
        return "unclear"


RULE: Final = Rule()
