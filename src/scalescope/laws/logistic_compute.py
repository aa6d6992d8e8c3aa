r"""The logistic curve in the logarithm of compute that two laws share.

.. math:: y(C) = floor + \frac{ceiling - floor}{1 + (C_{mid}/C)^k}
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Law, solve_linear
from scalescope.laws.sigmoids import logistic, logistic_slope
from scalescope.laws.terms import stacked


class LogisticCompute(Law):
    """Between two ends; the coefficients are floor, ceiling, C_mid and k in this order."""

    scale = "raw"
    linear = ("floor", "ceiling")

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted score; `theta` is ordered as `coefficients`."""
        floor, ceiling, middle, k = theta
        return np.asarray(floor + (ceiling - floor) * logistic(k * (np.log(x["C"]) - np.log(middle))))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        floor, ceiling, middle, k = theta
        past = np.log(x["C"]) - np.log(middle)
        share = logistic(k * past)
        slope = (ceiling - floor) * logistic_slope(k * past)
        return stacked(1 - share, share, -slope * k / middle, slope * past)

    def starts(self, target: Array, **x: Array) -> Array:
        """Middles and slopes spread over the computes at hand; the ends solved for by least squares."""
        low, high = np.log(x["C"].min()), np.log(x["C"].max())
        wide = max(high - low, 0.1)
        rows = [
            (0.0, 1.0, np.exp(low + at * wide), k / wide)
            for at, k in product((0.1, 0.35, 0.6, 0.9, 1.2), (2.0, 5.0, 15.0, 50.0))
        ]
        theta = np.array(rows)
        theta[:, :2] = solve_linear(self, theta, target, x)
        return np.asarray(np.clip(theta, *self.bounds()))
