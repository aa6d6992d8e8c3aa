r"""Loss on a target from size, data and shares whose best mixture moves with scale, Shukor et al. (2025).

.. math::

    L(N, D, h) = E + \frac{1}{\sum_i C_i h_i^{\gamma_i}} + \frac{A(h)}{N^\alpha} + \frac{B(h)}{D^\beta},
    \qquad A(h) = \left(\sum_i a_i h_i\right)^{\gamma_A}, \quad B(h) = \left(\sum_i b_i h_i\right)^{\gamma_B}

Source: https://arxiv.org/abs/2507.09404, the joint law. Here the scales are written
:math:`A(h) = (\sum_i A_i^{1/\gamma_A} h_i)^{\gamma_A}`, so that :math:`A_i` is A on domain i alone; the form
is the same, and fits better because scale and exponent no longer trade.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, register
from scalescope.laws.mixture_additive import (
    mixture_design,
    mixture_variables,
    share_coefficients,
    share_term,
)
from scalescope.laws.simplex import check_domains
from scalescope.laws.terms import power_term, stacked

DOMAINS: Final = 2
SIZE_SCALES: Final = (250.0, 500.0, 350.0, 420.0, 300.0, 450.0, 380.0, 280.0)
DATA_SCALES: Final = (1300.0, 600.0, 900.0, 750.0, 1100.0, 800.0, 1000.0, 700.0)


def power_mean(scales: Array, power: Array, shares: list[Array]) -> tuple[Array, list[Array], Array]:
    """Return (sum_i scale_i**(1/power) h_i)**power, its derivatives by every scale and by the power."""
    roots = [np.exp(np.log(scale) / power) for scale in scales]
    inside = np.asarray(sum(root * share for root, share in zip(roots, shares, strict=True)))
    mean = inside**power
    # Shares of the sum: they weigh the derivatives.
    parts = [root * share / inside for root, share in zip(roots, shares, strict=True)]
    by_scale = [mean * part / scale for part, scale in zip(parts, scales, strict=True)]
    turned = sum(part * np.log(scale) for part, scale in zip(parts, scales, strict=True))
    return mean, by_scale, np.asarray(mean * (np.log(inside) - turned / power))


def _exponent(meaning: str, example: float, low: float, high: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=3.0, start=(low, high))


@register
class MixtureJoint(Law):
    """The additive law with scales of size and data that depend on the mixture."""

    family = "mixtures"
    linear = ("E",)
    reference = "https://arxiv.org/abs/2507.09404"
    caveats = (
        "Many coefficients: it needs mixtures at several sizes and token counts.",
        "The exponents gamma_A and gamma_B act only where domains differ in their scales.",
    )

    def __init__(self, number: int = DOMAINS) -> None:
        check_domains("mixture-joint", number)
        self.number = number
        self.name = "mixture-joint" if number == DOMAINS else f"mixture-joint-{number}"
        self.title = f"Loss from size, data and {number} shares that interact, Shukor et al. 2025"
        self.formula = "L = E + 1/sum(C_i h_i^gamma_i) + A(h)/N^alpha + B(h)/D^beta"
        self.variables = mixture_variables(number)
        self.coefficients = MappingProxyType(
            {
                "E": Coefficient(meaning="irreducible loss", example=1.2, low=0.0, high=20.0),
                "alpha": _exponent("size exponent", 0.34, 0.2, 0.6),
                "beta": _exponent("data exponent", 0.32, 0.2, 0.6),
                "gamma_A": _exponent("exponent of the mean of A over domains", 0.6, 0.3, 1.5),
                "gamma_B": _exponent("exponent of the mean of B over domains", 1.4, 0.3, 1.5),
                **self._scales("A", "size", SIZE_SCALES),
                **self._scales("B", "data", DATA_SCALES),
                **share_coefficients(number),
            }
        )

    def _scales(self, letter: str, what: str, examples: tuple[float, ...]) -> dict[str, Coefficient]:
        return {
            f"{letter}_{i}": Coefficient(
                meaning=f"scale of what finite {what} costs on domain {i} alone",
                example=examples[i - 1],
                positive=True,
            )
            for i in range(1, self.number + 1)
        }

    def sized(self, number: int) -> Law:
        """Return the law for another number of domains."""
        return MixtureJoint(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the target, nats per token; `theta` is ordered as `coefficients`."""
        E, alpha, beta, power_A, power_B = theta[:5]
        A, B, C, gamma, shares = self._split(theta, x)
        of_size, of_data = power_mean(A, power_A, shares)[0], power_mean(B, power_B, shares)[0]
        rest = of_size * x["N"] ** -alpha + of_data * x["D"] ** -beta
        return np.asarray(E + share_term(C, gamma, shares)[0] + rest)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, alpha, beta, power_A, power_B = theta[:5]
        A, B, C, gamma, shares = self._split(theta, x)
        term, slopes = share_term(C, gamma, shares)
        mean_A, by_A, turn_A = power_mean(A, power_A, shares)
        mean_B, by_B, turn_B = power_mean(B, power_B, shares)
        _, size, by_alpha = power_term(mean_A, alpha, x["N"])
        _, data, by_beta = power_term(mean_B, beta, x["D"])
        return stacked(
            np.ones_like(term),
            by_alpha,
            by_beta,
            turn_A * size,
            turn_B * data,
            *(one * size for one in by_A),
            *(one * data for one in by_B),
            *slopes,
        )

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes, tokens and mixtures over their ranges."""
        return mixture_design(self.number, n)

    def _split(self, theta: Array, x: dict[str, Array]) -> tuple[Array, Array, Array, Array, list[Array]]:
        A, B, C, gamma = (theta[5 + i * self.number : 5 + (i + 1) * self.number] for i in range(4))
        return A, B, C, gamma, [x[f"h{i}"] for i in range(1, self.number + 1)]
