r"""How much compute a mixture of experts saves against a dense network, Tian et al. (2025).

.. math:: EL(S, G, C) = \hat A^{\,a + d \log_{10} C + \gamma (\log_2 G)^2 + \beta \log_2 G}, \qquad
          \hat A = 1 - S + A_{start}

1 - S is the share of activated parameters, G the granularity, C the training FLOP. The paper's
:math:`\hat A` also saturates at an upper end of 5e16, which no share reaches, so it is left out. Source:
https://arxiv.org/abs/2507.17702. The bases of the logarithms are those with which the published
coefficients give the leverage and the best granularity that the paper reports.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import stacked


@register
class EfficiencyLeverage(Law):
    """A power law in the active share whose exponent moves with compute and granularity."""

    name = "efficiency-leverage"
    title = "Compute saved by experts against a dense network, Tian et al. 2025"
    family = "sparse"
    formula = "EL(S, G, C) = (1 - S + A_start)^(a + d log10 C + gamma (log2 G)^2 + beta log2 G)"
    variables = named(
        S=Variable(
            column="sparsity", low=0.0, high=0.99, logarithmic=False, meaning="share that is not activated"
        ),
        G=Variable(column="granularity", low=1.0, high=32.0),
        C=Variable(column="compute", low=1e18, high=1e23, trend=1),
    )
    coefficients = named(
        a=Coefficient(meaning="exponent of the active share at one FLOP", example=1.23, low=-10.0, high=10.0),
        d=Coefficient(meaning="what a tenfold compute adds to it", example=-0.0761, low=-5.0, high=5.0),
        gamma=Coefficient(
            meaning="what granularity adds, squared logarithm", example=0.0167, low=-5.0, high=5.0
        ),
        beta=Coefficient(meaning="what granularity adds, logarithm", example=-0.117, low=-5.0, high=5.0),
        A_start=Coefficient(
            meaning="active share below which less does not help", example=0.0163, positive=True, high=1.0
        ),
    )
    target = "leverage"
    reference = "https://arxiv.org/abs/2507.17702"
    caveats = (
        "Leverage is compute at equal loss, as the paper counts it: not memory and not time.",
        "A dense network (S = 0) is predicted near one, not exactly one.",
        "The published coefficients were not checked against the paper.",
    )
    published = MappingProxyType(
        {
            "tian2025": Published(
                coefficients={"a": 1.23, "d": -0.0761, "gamma": 0.0167, "beta": -0.117, "A_start": 0.0163},
                source="https://arxiv.org/abs/2507.17702",
                verified=False,
                note="Not checked against the paper; its upper end of 5.28e16 is left out.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted compute of a dense network over that of the sparse one."""
        *_, start = theta
        return np.asarray(np.exp(self._exponent(theta, x) * np.log(1 - x["S"] + start)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        *_, start = theta
        share = 1 - x["S"] + start
        exponent, log_G = self._exponent(theta, x), np.log2(x["G"])
        leverage = np.exp(exponent * np.log(share))
        slope = leverage * np.log(share)
        return stacked(
            slope, slope * np.log10(x["C"]), slope * log_G**2, slope * log_G, leverage * exponent / share
        )

    def starts(self, target: Array, **x: Array) -> Array:
        """A_start on a grid; for each the rest solves the logarithm, which is linear in it."""
        rows, log_G = [], np.log2(x["G"])
        for start in (1e-3, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
            share = np.log(1 - x["S"] + start)
            columns = np.stack([share, share * np.log10(x["C"]), share * log_G**2, share * log_G], axis=1)
            rows.append((*np.linalg.lstsq(columns, np.log(target), rcond=None)[0], start))
        low, high = self.bounds()
        return np.clip(np.array(rows), low, high)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Active shares from all to a hundredth, evenly in logarithm; the rest over its ranges."""
        share, G, C = (low_discrepancy(n, column) for column in range(3))
        return {"S": 1 - 100.0**-share, "G": 32.0**G, "C": 10 ** (18 + 5 * C)}

    @staticmethod
    def _exponent(theta: Array, x: dict[str, Array]) -> Array:
        a, d, gamma, beta, _ = theta
        log_G = np.log2(x["G"])
        return np.asarray(a + d * np.log10(x["C"]) + gamma * log_G**2 + beta * log_G)
