r"""Loss on a target from size, data and the shares of all domains, Shukor et al. (2025), additive.

.. math:: L(N, D, h) = E + \frac{1}{\sum_i C_i h_i^{\gamma_i}} + \frac{A}{N^\alpha} + \frac{B}{D^\beta}

The best mixture does not depend on size and data here; `mixture-joint` lets it. Source:
https://arxiv.org/abs/2507.09404.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.simplex import check_domains, mixtures, share_variables
from scalescope.laws.terms import power_term, stacked

DOMAINS: Final = 3
SCALES: Final = (2.5, 1.0, 0.6, 1.6, 0.8, 2.0, 0.5, 1.2)
POWERS: Final = (0.5, 0.9, 0.3, 0.7, 0.4, 0.6, 0.8, 1.0)


def mixture_variables(number: int) -> MappingProxyType[str, Variable]:
    """Return size, tokens and the shares h1 to h`number`."""
    return MappingProxyType(
        {
            "N": Variable(column="params", low=1e7, high=1e10, trend=-1),
            "D": Variable(column="tokens", low=1e9, high=1e12, trend=-1),
            **share_variables("h", number),
        }
    )


def share_coefficients(number: int) -> dict[str, Coefficient]:
    """Return C and gamma of every domain, which say how much its share helps the target."""
    scales = {
        f"C_{i}": Coefficient(
            meaning=f"how much domain {i} helps the target",
            example=SCALES[i - 1],
            positive=True,
            start=(0.2, 8.0),
        )
        for i in range(1, number + 1)
    }
    powers = {
        f"gamma_{i}": Coefficient(
            meaning=f"share exponent of domain {i}",
            example=POWERS[i - 1],
            positive=True,
            low=0.01,
            high=3.0,
            start=(0.15, 1.5),
        )
        for i in range(1, number + 1)
    }
    return scales | powers


def share_term(scales: Array, powers: Array, shares: list[Array]) -> tuple[Array, list[Array]]:
    """Return 1 / sum_i C_i h_i**gamma_i, and its derivatives by every C and then every gamma."""
    helped = [share**power for power, share in zip(powers, shares, strict=True)]
    term = 1 / np.asarray(sum(scale * one for scale, one in zip(scales, helped, strict=True)))
    # A share of zero has no logarithm, but there its power is zero.
    logs = [np.log(np.where(share > 0, share, 1.0)) for share in shares]
    by_scale = [-(term**2) * one for one in helped]
    by_power = [one * scale * log for one, scale, log in zip(by_scale, scales, logs, strict=True)]
    return term, by_scale + by_power


def mixture_design(number: int, n: int) -> dict[str, Array]:
    """Return sizes, tokens and mixtures that fill their ranges; every fourth mixture is near one domain."""
    shares = mixtures(n, number, skip=2)
    near = np.arange(n) % 4 == 0
    shares[:, near] = shares[:, near] ** 4 / (shares[:, near] ** 4).sum(axis=0)
    N, D = 10 ** (7 + 3 * low_discrepancy(n, 0)), 10 ** (9 + 3 * low_discrepancy(n, 1))
    return {"N": N, "D": D} | {f"h{i + 1}": share for i, share in enumerate(shares)}


@register
class MixtureAdditive(Law):
    """The law of Hoffmann et al. plus one term of the shares."""

    family = "mixtures"
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2507.09404"
    caveats = (
        "One target domain a fit; shares are those of the training data.",
        "E and the term of the shares are told apart only by mixtures from one domain to many.",
    )

    def __init__(self, number: int = DOMAINS) -> None:
        check_domains("mixture-additive", number)
        self.number = number
        self.name = "mixture-additive" if number == DOMAINS else f"mixture-additive-{number}"
        self.title = f"Loss from size, data and the shares of {number} domains, Shukor et al. 2025"
        terms = " + ".join(f"C_{i} h{i}^gamma_{i}" for i in range(1, number + 1))
        self.formula = f"L = E + 1/({terms}) + A/N^alpha + B/D^beta"
        self.variables = mixture_variables(number)
        self.coefficients = MappingProxyType(
            {
                "E": Coefficient(meaning="irreducible loss", example=1.2, low=0.0, high=20.0),
                "A": Coefficient(meaning="scale of what a finite size costs", example=400.0, positive=True),
                "B": Coefficient(meaning="scale of what finite data cost", example=900.0, positive=True),
                "alpha": Coefficient(
                    meaning="size exponent",
                    example=0.34,
                    positive=True,
                    low=0.01,
                    high=3.0,
                    start=(0.15, 0.8),
                ),
                "beta": Coefficient(
                    meaning="data exponent",
                    example=0.32,
                    positive=True,
                    low=0.01,
                    high=3.0,
                    start=(0.15, 0.8),
                ),
                **share_coefficients(number),
            }
        )

    def sized(self, number: int) -> Law:
        """Return the law for another number of domains."""
        return MixtureAdditive(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the target, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta = theta[:5]
        term, _ = self._term(theta, x)
        return np.asarray(E + term + A * x["N"] ** -alpha + B * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, B, alpha, beta = theta[:5]
        term, slopes = self._term(theta, x)
        _, by_A, by_alpha = power_term(A, alpha, x["N"])
        _, by_B, by_beta = power_term(B, beta, x["D"])
        return stacked(np.ones_like(term), by_A, by_B, by_alpha, by_beta, *slopes)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes, tokens and mixtures over their ranges."""
        return mixture_design(self.number, n)

    def _term(self, theta: Array, x: dict[str, Array]) -> tuple[Array, list[Array]]:
        shares = [x[f"h{i}"] for i in range(1, self.number + 1)]
        return share_term(theta[5 : 5 + self.number], theta[5 + self.number :], shares)
