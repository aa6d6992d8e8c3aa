r"""What training with quantisation costs: Chen et al. (2025).

.. math:: \delta(N, D, G) = k \frac{D^{\gamma_D} (\log_2 G)^{\gamma_G}}{N^{\gamma_N}}

with G the number of weights that share one scale. One fit holds for one number of bits.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked


def _exponent(what: str, example: float) -> Coefficient:
    return Coefficient(meaning=f"{what} exponent", example=example, low=-3.0, high=5.0, start=(0.02, 1.0))


@register
class QuantisationAware(Law):
    """Rise of the loss with tokens and with the coarseness of the scales, its fall with size."""

    name = "quantisation-aware"
    title = "What quantisation-aware training costs, Chen et al. 2025"
    family = "precision"
    formula = "delta = k D^gamma_D (log2 G)^gamma_G / N^gamma_N"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=1),
        G=Variable(column="group_size", low=4.0, high=1024.0, trend=1),
    )
    coefficients = named(
        k=Coefficient(meaning="scale", example=0.16, positive=True),
        gamma_N=_exponent("size", 0.22),
        gamma_D=_exponent("data", 0.075),
        gamma_G=_exponent("group", 0.78),
    )
    linear = ("k",)
    target = "loss_increase"
    reference = "https://arxiv.org/abs/2505.14302"
    caveats = (
        "One set of coefficients holds for one format, such as 4-bit weights and activations.",
        "A group of one weight would cost nothing: the law needs G above 1.",
    )
    published = MappingProxyType(
        {
            "chen2025-w4a4": Published(
                coefficients={"k": 0.1582, "gamma_N": 0.2186, "gamma_D": 0.0745, "gamma_G": 0.7779},
                source="https://arxiv.org/abs/2505.14302, weights and activations of 4 bits",
                note="Remembered, not checked against the paper.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted rise of the loss, nats per token; `theta` is ordered as `coefficients`."""
        k, gamma_N, gamma_D, gamma_G = theta
        exponent = gamma_D * np.log(x["D"]) - gamma_N * np.log(x["N"]) + gamma_G * np.log(np.log2(x["G"]))
        return np.asarray(k * np.exp(exponent))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        value = self.value(theta, **x)
        by_group = value * np.log(np.log2(x["G"]))
        return stacked(value / theta[0], -value * np.log(x["N"]), value * np.log(x["D"]), by_group)
