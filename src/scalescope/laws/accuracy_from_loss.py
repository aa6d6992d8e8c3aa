r"""Accuracy on a task from a loss: the second step of Bhagia et al. (2024) and of Llama 3 (2024).

.. math:: Acc(L) = floor + \frac{ceiling - floor}{1 + e^{k (L - L_0)}}

The paper writes :math:`a / (1 + e^{-k(L - L_0)}) + b`, in which the signs of a and k can be swapped; here k
is above zero, and floor and ceiling are the two ends. L is best the loss of the right answers of the task.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.sigmoids import logistic, logistic_slope
from scalescope.laws.terms import stacked


@register
class AccuracyFromLoss(Law):
    """A logistic fall from a ceiling to the accuracy of guessing."""

    name = "accuracy-from-loss"
    title = "Accuracy on a task from a loss, Bhagia et al. 2024 and Llama 3"
    family = "downstream"
    formula = "Acc(L) = floor + (ceiling - floor)/(1 + exp(k (L - L_0)))"
    variables = named(L=Variable(column="loss", low=0.3, high=3.0, logarithmic=False, trend=-1))
    coefficients = named(
        floor=Coefficient(meaning="accuracy of guessing", example=0.25, low=0.0, high=1.0),
        ceiling=Coefficient(meaning="accuracy at a loss of zero, about", example=0.95, low=0.0, high=1.0),
        k=Coefficient(
            meaning="steepness, per nat", example=4.0, positive=True, low=0.05, high=100.0, start=(0.5, 20.0)
        ),
        L_0=Coefficient(meaning="loss half-way, nats", example=1.2, low=-5.0, high=20.0, start=(0.3, 4.0)),
    )
    target = "accuracy"
    scale = "raw"
    linear = ("floor", "ceiling")
    reference = "https://arxiv.org/abs/2412.04403, eq. 2; https://arxiv.org/abs/2407.21783, section 3.2.1"
    caveats = (
        "Models all near guessing do not show where the rise comes: the ceiling is then a guess.",
        "The loss is that of the right answers of the task; another loss gives another curve.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted share of right answers; `theta` is ordered as `coefficients`."""
        floor, ceiling, k, L_0 = theta
        return np.asarray(floor + (ceiling - floor) * logistic(-k * (x["L"] - L_0)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        floor, ceiling, k, L_0 = theta
        past = x["L"] - L_0
        share = logistic(-k * past)
        slope = (ceiling - floor) * logistic_slope(k * past)
        return stacked(1 - share, share, -slope * past, slope * k)
