r"""The joint law of Kaplan et al. (2020), without an irreducible term.

.. math:: L(N, D) = \left[ (N_c / N)^{\alpha_N / \alpha_D} + D_c / D \right]^{\alpha_D}
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class Kaplan(Law):
    """Size and data joined inside one power, so that each alone is a pure power law."""

    name = "kaplan"
    title = "Loss from size and data, Kaplan et al. 2020"
    family = "size-and-data"
    formula = "L(N, D) = [(Nc/N)^(alphaN/alphaD) + Dc/D]^alphaD"
    variables = named(
        N=Variable(column="params", low=1e4, high=1e9, trend=-1),
        D=Variable(column="tokens", low=1e6, high=1e11, trend=-1),
    )
    coefficients = named(
        Nc=Coefficient(
            meaning="size at which the loss would be 1 nat on endless data", example=6e13, positive=True
        ),
        Dc=Coefficient(
            meaning="tokens at which it would be 1 nat at endless size", example=2e13, positive=True
        ),
        alphaN=Coefficient(meaning="size exponent", example=0.076, positive=True, low=0.005, high=3.0),
        alphaD=Coefficient(meaning="data exponent", example=0.10, positive=True, low=0.005, high=3.0),
    )
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2001.08361, eq. 1.5 and table 2"
    caveats = (
        "Has no floor: it promises a loss of zero, so far forecasts are optimistic.",
        "Its published coefficients count parameters without embeddings.",
        "Its authors see no overfitting from about 5e3 N^0.74 tokens on.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"Nc": 6.4e13, "Dc": 1.8e13, "alphaN": 0.076, "alphaD": 0.103},
                source="https://arxiv.org/abs/2001.08361, table 2",
                count="params_nonembedding",
                verified=True,
                note="Made for the study of overfitting, not of compute-optimal training: see its eq. 1.6.",
                ranges={"N": (768.0, 1.5e9), "D": (2.2e7, 2.3e10)},
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        Nc, Dc, alpha_N, alpha_D = theta
        return np.asarray(((Nc / x["N"]) ** (alpha_N / alpha_D) + Dc / x["D"]) ** alpha_D)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        Nc, Dc, alpha_N, alpha_D = theta
        ratio = alpha_N / alpha_D
        log_size = np.log(Nc) - np.log(x["N"])
        size, data = np.exp(ratio * log_size), Dc / x["D"]
        inner = size + data
        slope = alpha_D * inner ** (alpha_D - 1)
        # alphaD acts twice: as the outer power and inside the exponent of the size term.
        by_outer = inner**alpha_D * np.log(inner)
        by_alpha_D = by_outer - slope * size * log_size * ratio / alpha_D
        parts = (slope * size * ratio / Nc, slope / x["D"], slope * size * log_size / alpha_D, by_alpha_D)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents on a grid; at the median run both terms are equal and give the median loss."""
        size, data, middle = np.median(x["N"]), np.median(x["D"]), np.median(target)
        rows = []
        for alpha_N, alpha_D in product((0.05, 0.1, 0.2, 0.4, 0.7), repeat=2):
            half = middle ** (1 / alpha_D) / 2
            rows.append((size * half ** (alpha_D / alpha_N), data * half, alpha_N, alpha_D))
        return np.array(rows)
