r"""Loss of mixtures of fine-grained experts, Krajewski et al. (2024).

.. math:: L(N, D, G) = c + \left(\frac{g}{G^\gamma} + a\right) N^{-\alpha} + b D^{-\beta}

G is the width of a dense feed-forward layer over that of one expert, and N counts the parameters of all
experts without embeddings. Source: https://arxiv.org/abs/2402.07871, eq. 4.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import power_term, stacked

SOURCE = "https://arxiv.org/abs/2402.07871, eq. 4 and its table of coefficients"


def _exponent(meaning: str, example: float, low: float, high: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=3.0, start=(low, high))


@register
class Granularity(Law):
    """Hoffmann's form, with a size term that falls to a floor with granularity."""

    name = "granularity"
    title = "Loss from size, data and granularity of experts, Krajewski et al. 2024"
    family = "sparse"
    formula = "L(N, D, G) = c + (g/G^gamma + a)/N^alpha + b/D^beta"
    variables = named(
        N=Variable(column="params", low=1e8, high=1e11, trend=-1),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=-1),
        G=Variable(column="granularity", low=1.0, high=64.0, trend=-1),
    )
    coefficients = named(
        a=Coefficient(meaning="scale of the size term at endless granularity", example=18.1, positive=True),
        alpha=_exponent("size exponent", 0.115, 0.05, 0.5),
        b=Coefficient(meaning="scale of what finite data cost", example=30.8, positive=True),
        beta=_exponent("data exponent", 0.147, 0.05, 0.5),
        g=Coefficient(meaning="scale of what coarse experts cost", example=2.1, positive=True),
        gamma=_exponent("granularity exponent", 0.58, 0.15, 1.5),
        c=Coefficient(meaning="irreducible loss", example=0.47, low=0.0, high=20.0),
    )
    linear = ("a", "b", "g", "c")
    count = "params_nonembedding"
    reference = SOURCE
    caveats = (
        "The cost of routing grows with granularity and is not in the loss: very fine experts do not pay.",
        "One expansion rate a fit; the published coefficients are for 64.",
        "The paper minimises Huber penalties with delta 0.1.",
    )
    published = MappingProxyType(
        {
            "krajewski2024": Published(
                coefficients={
                    "a": 18.1,
                    "alpha": 0.115,
                    "b": 30.8,
                    "beta": 0.147,
                    "g": 2.1,
                    "gamma": 0.58,
                    "c": 0.47,
                },
                source=f"{SOURCE}; 64 times the parameters of the dense network",
                count="params_nonembedding",
                verified=True,
                note="The paper reports a root mean square error of 0.015.",
            ),
            "krajewski2024-dense": Published(
                coefficients={
                    "a": 16.3,
                    "alpha": 0.126,
                    "b": 26.7,
                    "beta": 0.127,
                    "g": 0.0,
                    "gamma": 0.58,
                    "c": 0.47,
                },
                source=f"{SOURCE}; dense networks",
                count="params_nonembedding",
                verified=True,
                note="Dense networks have no granularity: g is 0 here, and gamma has no effect.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        a, alpha, b, beta, g, gamma, c = theta
        return np.asarray(c + (g * x["G"] ** -gamma + a) * x["N"] ** -alpha + b * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a, alpha, b, beta, g, gamma, _ = theta
        coarse, by_g, by_gamma = power_term(g, gamma, x["G"])
        _, size, by_alpha = power_term(coarse + a, alpha, x["N"])
        _, by_b, by_beta = power_term(b, beta, x["D"])
        return stacked(size, by_alpha, by_b, by_beta, by_g * size, by_gamma * size, np.ones_like(by_b * size))
