r"""True reward when the best of n answers is taken by a learned reward: Gao et al. (2022).

.. math:: R(d) = d\,(\alpha - \beta d), \qquad d = \sqrt{KL}

with the divergence from the first policy, which for the best of n answers is :math:`\ln n - (n - 1)/n`. The
reward rises, and falls again as the learned reward is exploited.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


@register
class BestOfN(Law):
    """A parabola in the root of the divergence."""

    name = "best-of-n"
    title = "True reward under best-of-n, Gao et al. 2022"
    family = "after-training"
    formula = "R(d) = d (alpha - beta d); d = sqrt(KL)"
    variables = named(KL=Variable(column="kl", low=0.01, high=10.0))
    coefficients = named(
        alpha=Coefficient(meaning="gain at first, reward per root nat", example=0.6),
        beta=Coefficient(meaning="how soon the learned reward is exploited", example=0.1),
    )
    target = "reward"
    scale = "raw"
    linear = ("alpha", "beta")
    reference = "https://arxiv.org/abs/2210.10760, section 3"
    caveats = ("Rewards are relative to the first policy, whose reward is zero.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted true reward; `theta` is ordered as `coefficients`."""
        alpha, beta = theta
        d = np.sqrt(x["KL"])
        return np.asarray(d * (alpha - beta * d))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        d = np.sqrt(x["KL"])
        return stacked(d + 0 * theta[0], -d * d)
