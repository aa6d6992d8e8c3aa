r"""Questions that one of k answers gets right: Brown et al. (2024).

.. math:: coverage(k) = e^{-a k^{-b}}

The paper writes :math:`e^{a k^b}` with both below zero.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


@register
class RepeatedSampling(Law):
    """Coverage, the share of questions that some answer gets right."""

    name = "repeated-sampling"
    title = "Questions that one of k answers gets right, Brown et al. 2024"
    family = "after-training"
    formula = "coverage(k) = exp(-a/k^b)"
    variables = named(k=Variable(column="samples", low=1.0, high=1e4, trend=1))
    coefficients = named(
        a=Coefficient(
            meaning="minus the logarithm of the coverage of one answer", example=1.5, positive=True
        ),
        b=Coefficient(
            meaning="exponent of the samples",
            example=0.35,
            positive=True,
            low=0.01,
            high=5.0,
            start=(0.05, 1.5),
        ),
    )
    target = "accuracy"
    reference = "https://arxiv.org/abs/2407.21787, section 3"
    caveats = (
        "Coverage needs a way to tell which answer is right; without one, votes level off far earlier.",
        "Questions that no sample ever answers bend the curve below this one.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted share of questions; `theta` is ordered as `coefficients`."""
        a, b = theta
        return np.asarray(np.exp(-a * x["k"] ** -b))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a, b = theta
        missed = x["k"] ** -b
        value = np.exp(-a * missed)
        return stacked(-value * missed, value * a * missed * np.log(x["k"]))

    def starts(self, target: Array, **x: Array) -> Array:
        """Several exponents, with the scale that each needs at the middle of the samples."""
        middle = float(np.median(x["k"]))
        missed = max(-np.log(np.clip(np.median(target), 1e-6, 1 - 1e-6)), 1e-6)
        return np.array([(missed * middle**b, b) for b in (0.05, 0.15, 0.3, 0.6, 1.2)])
