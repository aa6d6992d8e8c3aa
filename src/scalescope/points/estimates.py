"""A number with an interval: what every result is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with a central interval; `low` and `high` are equal to `value` when it is exact."""

    value: float
    low: float
    high: float

    @classmethod
    def from_samples(cls, value: float, samples: Array, level: float) -> Estimate:
        """Take the central `level` (such as 0.9) of `samples` (one per resample) as the interval."""
        finite = samples[np.isfinite(samples)]
        if finite.size == 0:
            return cls(value=float(value), low=float("nan"), high=float("nan"))
        low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
        # A resampled interval can miss the point estimate when the resamples are skewed; never show that.
        return cls(value=float(value), low=float(min(low, value)), high=float(max(high, value)))

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """Return a number that has no uncertainty, such as a budget that was asked for."""
        return cls(value=float(value), low=float(value), high=float(value))

    def text(self, show: Callable[[float], str]) -> str:
        """Write as `value [low, high]`, each number through `show` (a function of `units`).

        The value alone where it is exact or nothing is known of its interval.
        """
        if self.low == self.high or (math.isnan(self.low) and math.isnan(self.high)):
            return show(self.value)
        return f"{show(self.value)} [{show(self.low)}, {show(self.high)}]"
