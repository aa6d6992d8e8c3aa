r"""Reinforcement learning from size and experience: Hilton et al. (2023).

.. math:: I(N, X)^{-\beta} = A N^{-\alpha_N} + B X^{-\alpha_X}

Intrinsic performance I is the least training compute at which the same return is reached by a network of any
size, which makes a scale of returns that power laws fit. X counts steps in the environment. The paper writes
:math:`(N_c/N)^{\alpha_N}` for the first term, so that :math:`A = N_c^{\alpha_N}`.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


def _exponent(meaning: str, example: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=5.0, start=(0.15, 1.2))


@register
class IntrinsicPerformance(Law):
    """The least compute with the same return, from size and experience."""

    name = "intrinsic-performance"
    title = "Reinforcement learning from size and experience, Hilton et al. 2023"
    family = "after-training"
    formula = "I = (A/N^alpha_N + B/X^alpha_X)^(-1/beta)"
    variables = named(
        N=Variable(column="params", low=1e3, high=1e8, trend=1),
        X=Variable(column="interactions", low=1e5, high=1e10, trend=1),
    )
    coefficients = named(
        A=Coefficient(meaning="scale of what a finite size costs", example=2.5e-4, positive=True),
        alpha_N=_exponent("size exponent", 0.45),
        B=Coefficient(meaning="scale of what little experience costs", example=5.6e-3, positive=True),
        alpha_X=_exponent("experience exponent", 0.5),
        beta=_exponent("exponent of the performance", 0.4),
    )
    target = "compute_intrinsic"
    reference = "https://arxiv.org/abs/2301.13442, eq. 1"
    caveats = (
        "Intrinsic performance is itself read off the envelope of the same runs.",
        "One environment a fit; the exponents differ between environments, and between horizons in one.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted intrinsic performance, FLOP; `theta` is ordered as `coefficients`."""
        A, alpha_N, B, alpha_X, beta = theta
        lack = A * x["N"] ** -alpha_N + B * x["X"] ** -alpha_X
        return np.asarray(np.exp(-np.log(lack) / beta))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        A, alpha_N, B, alpha_X, beta = theta
        size, experience = x["N"] ** -alpha_N, x["X"] ** -alpha_X
        lack = A * size + B * experience
        value = np.exp(-np.log(lack) / beta)
        by_lack = -value / (beta * lack)
        return stacked(
            by_lack * size,
            -by_lack * A * size * np.log(x["N"]),
            by_lack * experience,
            -by_lack * B * experience * np.log(x["X"]),
            value * np.log(lack) / beta**2,
        )

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents on a grid; A and B share what the median run needs."""
        size, experience = np.median(x["N"]), np.median(x["X"])
        rows = []
        for beta, alpha_N, alpha_X in product((0.2, 0.4, 0.8), (0.25, 0.5, 1.0), (0.25, 0.5, 1.0)):
            share = float(np.exp(-beta * np.median(np.log(target)))) / 2
            rows.append((share * size**alpha_N, alpha_N, share * experience**alpha_X, alpha_X, beta))
        return np.array(rows)
