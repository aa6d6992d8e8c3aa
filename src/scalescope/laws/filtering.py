r"""Error when filtered data are few and repeat, Goyal et al. (2024): quality against quantity.

.. math:: y_k = a\, n_1^{-b_1} \prod_{j=2}^{k} \left(\frac{n_j}{n_{j-1}}\right)^{-b_j} + d, \qquad
          b_j = b\, 2^{-(j-1)/\tau}

:math:`n_j` is the number of examples seen by the end of epoch j; the exponent halves every :math:`\tau`
epochs. Buckets of unlike quality have their own b and :math:`\tau`. A pool of several buckets repeats
each of them more slowly, so :math:`b_j = \sum_i s_i b_i 2^{-(j-1) s_i / \tau_i}` with the shares
:math:`s_i` of the pool: for p equal buckets this is the mean utility with half-lives :math:`p \tau_i`.
Source: https://arxiv.org/abs/2404.07177, eq. 3 and theorem 1; unequal shares are this program's reading.

Utilities are positive here; the paper writes them with their minus sign. An epoch that has begun counts
with the examples seen so far.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, register, standard_starts
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.simplex import check_domains, mixtures, share_variables
from scalescope.laws.terms import stacked

BUCKETS: Final = 2
EPOCHS: Final = 1000
"""Repetitions beyond this add nothing, which they hardly do anyway."""


@register
class Filtering(Law):
    """A power law in examples whose exponent halves with repetition, for a pool of buckets."""

    family = "limited-data"
    target = "error"
    linear = ("a", "d")
    reference = "https://arxiv.org/abs/2404.07177, eq. 3 and theorem 1"
    caveats = (
        "a and d are common to all buckets, as in the paper.",
        "Fitted on zero-shot errors of image-text networks at one size; other targets are untested.",
        "Pools of unequal shares go beyond the theorem of the paper, which mixes equal buckets.",
    )

    def __init__(self, number: int = BUCKETS) -> None:
        check_domains("filtering", number, least=1)
        self.number = number
        self.name = "filtering" if number == BUCKETS else f"filtering-{number}"
        self.title = "Error from filtered data that repeat, Goyal et al. 2024"
        self.formula = "y = a n_1^-b_1 (n_2/n_1)^-b_2 ... + d, b_j = sum_i s_i b_i 2^(-(j - 1) s_i/tau_i)"
        self.variables = MappingProxyType(
            {
                "D": Variable(column="examples", low=1e7, high=1e10, trend=-1),
                "U": Variable(column="examples_unique", low=1e7, high=1e8, trend=-1),
                **(share_variables("s", number) if number > 1 else {}),
            }
        )
        self.coefficients = MappingProxyType(self._coefficients(number))

    @staticmethod
    def _coefficients(number: int) -> dict[str, Coefficient]:
        out = {
            "a": Coefficient(meaning="scale of the error", example=8.0, positive=True),
            "d": Coefficient(meaning="error that data do not remove", example=0.1, low=0.0, high=1.0),
        }
        for i in range(1, number + 1):
            out[f"b_{i}"] = Coefficient(
                meaning=f"utility of bucket {i}: its exponent in the first epoch",
                example=0.18 - 0.02 * i,
                positive=True,
                high=2.0,
                start=(0.03, 0.4),
            )
        for i in range(1, number + 1):
            out[f"tau_{i}"] = Coefficient(
                meaning=f"epochs of bucket {i} alone that halve its utility",
                example=2.0 + 1.5 * i,
                positive=True,
                high=1e3,
                start=(1.0, 30.0),
            )
        return out

    def sized(self, number: int) -> Law:
        """Return the law for another number of buckets; one bucket needs no shares."""
        return Filtering(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error; `theta` is ordered as `coefficients`."""
        a, d = theta[:2]
        worth, _ = self._sums(theta, x)
        total = sum(b * share * one for b, share, one in zip(self._b(theta), self._s(x), worth, strict=True))
        return np.asarray(a * np.exp(-total) + d)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a = theta[0]
        worth, ageing = self._sums(theta, x)
        b, tau, s = self._b(theta), theta[2 + self.number :], self._s(x)
        total = np.asarray(sum(one * share * w for one, share, w in zip(b, s, worth, strict=True)))
        fall = np.exp(-total)
        by_b = [-a * fall * share * w for share, w in zip(s, worth, strict=True)]
        by_tau = [
            -a * fall * share**2 * one * old * np.log(2) / half**2
            for share, one, old, half in zip(s, b, ageing, tau, strict=True)
        ]
        return stacked(fall, np.ones_like(fall), *by_b, *by_tau)

    def starts(self, target: Array, **x: Array) -> Array:
        """The standard ones, fewer: every epoch costs a pass over the runs."""
        return standard_starts(self, target, x, n=24)

    def design(self, n: int = 40) -> dict[str, Array]:
        """Pools alone and mixed, seen for up to a dozen epochs."""
        U = 10 ** (7 + low_discrepancy(n, 0))
        x = {"D": U * 12 ** low_discrepancy(n, 1), "U": U}
        if self.number == 1:
            return x
        shares = mixtures(n, self.number, skip=2)
        alone = np.arange(n) % 2 == 0
        shares[:, alone] = np.eye(self.number)[np.flatnonzero(alone) // 2 % self.number].T
        return x | {f"s{i + 1}": share for i, share in enumerate(shares)}

    def _b(self, theta: Array) -> Array:
        return theta[2 : 2 + self.number]

    def _s(self, x: dict[str, Array]) -> list[Array]:
        if self.number == 1:
            return [np.ones_like(x["D"])]
        return [x[f"s{i}"] for i in range(1, self.number + 1)]

    def _sums(self, theta: Array, x: dict[str, Array]) -> tuple[list[Array], list[Array]]:
        """Log growth of the data by epoch, discounted for each bucket; and the same times the repetitions."""
        fresh = np.minimum(x["D"], x["U"])
        epochs = int(min(np.ceil((x["D"] / fresh).max() * (1 - 1e-12)), EPOCHS))
        kept = [
            2 ** (-share / half) for half, share in zip(theta[2 + self.number :], self._s(x), strict=True)
        ]
        worth = [np.log(fresh) + 0 * one for one in kept]
        ageing = [0 * one for one in kept]
        left = kept
        for repeat in range(1, epochs):
            grown = np.log(np.clip(x["D"] / (repeat * fresh), 1.0, (repeat + 1) / repeat))
            for i, one in enumerate(left):
                worth[i] = worth[i] + grown * one
                ageing[i] = ageing[i] + repeat * grown * one
            left = [one * share for one, share in zip(left, kept, strict=True)]
        return worth, ageing
