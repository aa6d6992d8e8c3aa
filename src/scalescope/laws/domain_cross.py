r"""The D-CPT law across domains, Que et al. (2024): one more term for how easily a domain is learned.

.. math:: L(N, D, r, K) = E + \frac{A}{N^\alpha} + \frac{B\, r^\eta}{D^\beta}
          + \frac{C}{(r + \epsilon)^\gamma} + \frac{F}{K^\mu}

K is one number a domain, measured by a short run on it. Source: https://arxiv.org/abs/2406.01375,
section 3.3.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.domain_continual import COEFFICIENTS, VARIABLES, DomainContinual
from scalescope.laws.terms import power_term, stacked


@register
class DomainCross(Law):
    """The law of one domain plus a power law in its learnability."""

    name = "domain-cross"
    title = "Loss of continued pre-training across domains, Que et al. 2024"
    family = "mixtures"
    formula = "L(N, D, r, K) = E + A/N^alpha + B r^eta/D^beta + C/(r + epsilon)^gamma + F/K^mu"
    variables = named(
        **VARIABLES,
        K=Variable(column="learnability", low=0.1, high=10.0, trend=-1),
    )
    coefficients = named(
        **COEFFICIENTS,
        F=Coefficient(meaning="scale of what a hard domain costs", example=0.4, positive=True),
        mu=Coefficient(
            meaning="learnability exponent",
            example=0.5,
            positive=True,
            low=0.01,
            high=3.0,
            start=(0.1, 1.5),
        ),
    )
    linear = ("E", "A", "B", "C", "F")
    reference = "https://arxiv.org/abs/2406.01375, section 3.3"
    caveats = (
        "E and F/K^mu are told apart only by three domains or more of unlike learnability.",
        "All domains share every other coefficient.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the corpus of share r, nats per token; `theta` is ordered as `coefficients`."""
        F, mu = theta[-2:]
        return np.asarray(DomainContinual().value(theta[:-2], **x) + F * x["K"] ** -mu)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, by_F, by_mu = power_term(theta[-2], theta[-1], x["K"])
        return stacked(*DomainContinual().gradient(theta[:-2], **x), by_F, by_mu)

    def design(self, n: int = 64) -> dict[str, Array]:
        """The design of one domain, over domains of unlike learnability."""
        return DomainContinual().design(n) | {"K": 10 ** (2 * low_discrepancy(n, 3) - 1)}
