r"""Whole training curves of networks of several sizes: Tissue et al. (2024), the extension of eq. 1 by size.

.. math:: L(s, N) = L_0 + A S_1^{-\alpha} + B N^{-\beta} - C S_2

See `rate_sums` for :math:`S_1` and :math:`S_2`.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.rate_sums import CURVE_VARIABLES, annealing_sums, curve_design
from scalescope.laws.terms import power_term, stacked


@register
class AnnealingSize(Law):
    """The law of annealing with a power law in size."""

    name = "annealing-size"
    title = "Training curves from schedule and size, Tissue et al. 2024"
    family = "curves"
    formula = "L(s, N) = L_0 + A/S1^alpha + B/N^beta - C S2"
    variables = named(**CURVE_VARIABLES, N=Variable(column="params", low=1e6, high=1e10, trend=-1))
    coefficients = named(
        L_0=Coefficient(
            meaning="loss that no training removes", example=1.8, positive=True, low=1e-3, high=20.0
        ),
        A=Coefficient(meaning="scale of what is still to learn", example=0.5, positive=True),
        alpha=Coefficient(
            meaning="exponent of the summed rate",
            example=0.5,
            positive=True,
            low=0.01,
            high=5.0,
            start=(0.1, 1.5),
        ),
        B=Coefficient(meaning="scale of what a finite size costs", example=60.0, positive=True),
        beta=Coefficient(
            meaning="size exponent", example=0.3, positive=True, low=0.01, high=3.0, start=(0.1, 1.0)
        ),
        C=Coefficient(meaning="gain from annealing", example=0.3, low=0.0),
    )
    linear = ("L_0", "A", "B", "C")
    reference = "https://arxiv.org/abs/2408.11029, the section on model size"
    caveats = (
        "What holds for `annealing` holds here: leave the warm-up out, and do not pad with a rate of zero.",
        "Size shifts every curve as a whole; it changes neither its slope nor the gain from annealing.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        L_0, A, alpha, B, beta, C = theta
        S1, S2 = annealing_sums(x["curve"], x["step"], x["rate"])
        return np.asarray(L_0 + A * S1**-alpha + B * x["N"] ** -beta - C * S2)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, alpha, B, beta, _ = theta
        S1, S2 = annealing_sums(x["curve"], x["step"], x["rate"])
        _, fall, by_alpha = power_term(A, alpha, S1)
        _, size, by_beta = power_term(B, beta, x["N"])
        return stacked(np.ones_like(fall), fall, by_alpha, size, by_beta, -S2)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Four curves under different schedules, at each of three sizes."""
        one = curve_design(n // 2)
        many = {name: np.tile(column, 3) for name, column in one.items()}
        size = np.repeat([1e6, 3e7, 1e9], len(one["curve"]))
        return {**many, "curve": many["curve"] + 4 * np.repeat([0, 1, 2], len(one["curve"])), "N": size}
