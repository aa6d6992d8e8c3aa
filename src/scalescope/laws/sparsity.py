r"""Loss from total size, data and the share of inactive parameters, Abnar et al. (2025).

.. math:: L(N, D, S) = \frac{a}{N^\alpha} + \frac{b}{D^\beta} + \frac{c}{(1 - S)^\lambda}
          + \frac{d}{(1 - S)^\delta N^\gamma} + e

N counts the parameters of all experts, S the share of them that a token does not meet. Source:
https://arxiv.org/abs/2501.12370, eq. 4. At the published coefficients lambda is below zero: the third term
falls with S, the fourth rises, and small networks are best dense.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import power_term, stacked

SOURCE = "https://arxiv.org/abs/2501.12370, eq. 4"


def _exponent(meaning: str, example: float, low: float, high: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=3.0, start=(low, high))


@register
class Sparsity(Law):
    """Hoffmann's form, one power law in the active share and one in it and size together."""

    name = "sparsity"
    title = "Loss from total size, data and sparsity, Abnar et al. 2025"
    family = "sparse"
    formula = "L(N, D, S) = a/N^alpha + b/D^beta + c/(1 - S)^lambda + d/((1 - S)^delta N^gamma) + e"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e11, trend=-1, meaning="parameters of all experts"),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=-1),
        S=Variable(column="sparsity", low=0.0, high=0.98, logarithmic=False),
    )
    coefficients = named(
        **{
            "a": Coefficient(meaning="scale of the pure size term", example=16612.5, positive=True),
            "alpha": _exponent("exponent of the pure size term", 0.5962, 0.4, 1.0),
            "b": Coefficient(meaning="scale of what finite data cost", example=5455.67, positive=True),
            "beta": _exponent("data exponent", 0.3954, 0.2, 0.8),
            "c": Coefficient(meaning="scale of the pure sparsity term", example=0.4598, positive=True),
            "lambda": Coefficient(
                meaning="exponent of the active share",
                example=-0.1666,
                low=-2.0,
                high=2.0,
                start=(-0.4, -0.05),
            ),
            "d": Coefficient(
                meaning="scale of what sparse small networks cost", example=17.26, positive=True
            ),
            "delta": _exponent("exponent of the active share in that cost", 0.1603, 0.05, 0.5),
            "gamma": _exponent("size exponent of that cost", 0.1595, 0.05, 0.3),
            "e": Coefficient(meaning="irreducible loss", example=0.94, low=0.0, high=20.0),
        }
    )
    linear = ("a", "b", "c", "d", "e")
    reference = SOURCE
    caveats = (
        "A warning about extrapolation: the paper reports R2 0.99 on fitted runs and 0.68 on held-out ones.",
        "a/N^alpha and d/N^gamma are alike; wide ranges of size are needed to tell them apart.",
        "c and e are told apart by the curvature in sparsity alone.",
    )
    published = MappingProxyType(
        {
            "abnar2025": Published(
                coefficients={
                    "a": 16612.5,
                    "alpha": 0.5962,
                    "b": 5455.67,
                    "beta": 0.3954,
                    "c": 0.4598,
                    "lambda": -0.1666,
                    "d": 17.26,
                    "delta": 0.1603,
                    "gamma": 0.1595,
                    "e": 0.94,
                },
                source=SOURCE,
                verified=True,
                note="R2 is 0.99 on the fitted runs and 0.68 on the held-out ones.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        a, alpha, b, beta, c, power, d, delta, gamma, e = theta
        active = 1 - x["S"]
        both = d * active**-delta * x["N"] ** -gamma
        return np.asarray(a * x["N"] ** -alpha + b * x["D"] ** -beta + c * active**-power + both + e)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a, alpha, b, beta, c, power, d, delta, gamma, _ = theta
        active = 1 - x["S"]
        _, by_a, by_alpha = power_term(a, alpha, x["N"])
        _, by_b, by_beta = power_term(b, beta, x["D"])
        _, by_c, by_power = power_term(c, power, active)
        sparse, _, by_delta = power_term(np.ones_like(d), delta, active)
        both, by_size, by_gamma = power_term(d * sparse, gamma, x["N"])
        return stacked(
            by_a,
            by_alpha,
            by_b,
            by_beta,
            by_c,
            by_power,
            by_size * sparse,
            by_delta * d * by_size,
            by_gamma,
            np.ones_like(both + by_a + by_b),
        )

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes and tokens over their ranges; active shares from all to a fiftieth, evenly in logarithm."""
        N, D, share = (low_discrepancy(n, column) for column in range(3))
        return {"N": 10 ** (7 + 4 * N), "D": 10 ** (9 + 3 * D), "S": 1 - 50.0**-share}
