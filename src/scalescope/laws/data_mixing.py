r"""Loss on one domain from the shares of all domains in the data, Ye et al. (2024).

.. math:: L(r_1, \dots, r_k) = c + \exp\left(\sum_j t_j r_j\right)

The paper puts a factor k before the exponential. Shares sum to one, so adding a number to every t is the
same as a factor, and the two cannot be told apart; here the factor is 1. Then :math:`e^{t_j}` is the loss
above c of a network that sees domain j alone. Source: https://arxiv.org/abs/2403.16952, eq. 2: one law for
each target domain, at one size and token count.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, register
from scalescope.laws.simplex import check_domains, mixtures, share_variables
from scalescope.laws.terms import stacked

DOMAINS: Final = 5
EXAMPLES: Final = (0.9, -0.6, 0.5, 0.1, -0.2, 0.7, -0.4, 0.3)


@register
class DataMixing(Law):
    """A floor plus an exponential of the shares."""

    family = "mixtures"
    linear = ("c",)
    reference = "https://arxiv.org/abs/2403.16952, eq. 2"
    caveats = (
        "Shares sum to one, so the factor k of the paper is fixed at 1 and is part of every t.",
        "One target domain, one size and one token count; nest it in laws of size and steps to go beyond.",
        "Needs at least two more mixtures than coefficients; with few, c and the curvature trade off.",
    )

    def __init__(self, number: int = DOMAINS) -> None:
        check_domains("data-mixing", number)
        self.number = number
        self.name = "data-mixing" if number == DOMAINS else f"data-mixing-{number}"
        self.title = f"Loss on one domain from the shares of {number}, Ye et al. 2024"
        self.formula = "L = c + exp(" + " + ".join(f"t_{i} r_{i}" for i in range(1, number + 1)) + ")"
        self.variables: MappingProxyType[str, Variable] = MappingProxyType(share_variables("r", number))
        self.coefficients = MappingProxyType(
            {
                "c": Coefficient(meaning="loss that no mixture removes", example=2.0, low=0.0, high=20.0),
                **{
                    f"t_{i}": Coefficient(
                        meaning=f"logarithm of the loss above c with domain {i} alone",
                        example=EXAMPLES[i - 1],
                        low=-100.0,
                        high=100.0,
                    )
                    for i in range(1, number + 1)
                },
            }
        )

    def sized(self, number: int) -> Law:
        """Return the law for another number of domains."""
        return DataMixing(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the target domain, nats per token; `theta` is ordered as `coefficients`."""
        return np.asarray(theta[0] + np.exp(self._exponent(theta, x)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        above = np.exp(self._exponent(theta, x))
        return stacked(np.ones_like(above), *(above * x[name] for name in self.variables))

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors on a grid; for each, the least squares of the logarithm of what is above it."""
        shares = np.stack([x[name] for name in self.variables], axis=1)
        rows = []
        for part in (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.995):
            floor = part * target.min()
            t = np.linalg.lstsq(shares, np.log(target - floor), rcond=None)[0]
            rows.append((floor, *t))
        low, high = self.bounds()
        return np.clip(np.array(rows), low, high)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Mixtures that fill the simplex."""
        return dict(zip(self.variables, mixtures(n, self.number), strict=True))

    def _exponent(self, theta: Array, x: dict[str, Array]) -> Array:
        return np.asarray(sum(t * x[name] for t, name in zip(theta[1:], self.variables, strict=True)))
