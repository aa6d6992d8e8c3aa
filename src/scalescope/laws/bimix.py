r"""Loss on one domain from its share and the training steps, Ge et al. (2024).

.. math:: L(r, s) = r^{-\alpha} \left(B s^{-\beta} + C\right)

The paper has a factor A before the share; it only multiplies B and C, so it is 1 here. Source:
https://arxiv.org/abs/2405.14908. One law for each domain; the other domains act through the share alone.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


@register
class Bimix(Law):
    """A power law in the share of the domain times one over a floor in steps."""

    name = "bimix"
    title = "Loss on one domain from its share and steps, Ge et al. 2024"
    family = "mixtures"
    formula = "L(r, s) = r^-alpha (B/s^beta + C)"
    variables = named(
        r=Variable(column="mixture", low=0.01, high=1.0, trend=-1),
        s=Variable(column="steps", low=1e3, high=1e6, trend=-1),
    )
    coefficients = named(
        B=Coefficient(meaning="scale of what few steps cost", example=20.0, positive=True),
        C=Coefficient(meaning="loss after endless steps on the domain alone", example=1.8, positive=True),
        alpha=Coefficient(meaning="share exponent", example=0.08, positive=True, high=3.0),
        beta=Coefficient(meaning="step exponent", example=0.4, positive=True, low=0.01, high=3.0),
    )
    linear = ("B", "C")
    reference = "https://arxiv.org/abs/2405.14908"
    caveats = (
        "The factor A of the paper only scales B and C and is fixed at 1.",
        "A share of zero has no finite loss; a domain that is left out needs another law.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the domain, nats per token; `theta` is ordered as `coefficients`."""
        B, C, alpha, beta = theta
        return np.asarray(x["r"] ** -alpha * (B * x["s"] ** -beta + C))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        B, C, alpha, beta = theta
        share, fall = x["r"] ** -alpha, x["s"] ** -beta
        return stacked(
            share * fall,
            share + 0 * fall,
            -np.log(x["r"]) * share * (B * fall + C),
            -np.log(x["s"]) * share * B * fall,
        )
