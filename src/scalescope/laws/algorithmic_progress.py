r"""The law of Hoffmann et al. with better algorithms every year, Ho et al. (2024).

.. math:: L = E + A \left(N e^{a_Y (Y - Y_0)}\right)^{-\alpha} + B \left(D e^{b_Y (Y - Y_0)}\right)^{-\beta}

A year of progress acts as if size and data were larger by fixed factors. :math:`Y_0 = 2012` is a convention:
another one only rescales A and B.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register

FIRST_YEAR: Final = 2012.0
"""Calendar year in which effective and real size and data are the same."""


@register
class AlgorithmicProgress(Law):
    """A surface in size and data, both of which count for more every year."""

    name = "algorithmic-progress"
    title = "Loss from size, data and year, Ho et al. 2024"
    family = "size-and-data"
    formula = "L = E + A/(N exp(aY (Y - 2012)))^alpha + B/(D exp(bY (Y - 2012)))^beta"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e11, trend=-1),
        D=Variable(column="tokens", low=1e7, high=1e12, trend=-1),
        Y=Variable(column="year", low=2012, high=2024, logarithmic=False, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.5, low=0.0, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs in 2012", example=400.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost in 2012", example=1200.0, positive=True),
        alpha=Coefficient(
            meaning="size exponent", example=0.32, positive=True, low=0.01, high=3.0, start=(0.1, 0.8)
        ),
        beta=Coefficient(
            meaning="data exponent", example=0.34, positive=True, low=0.01, high=3.0, start=(0.1, 0.8)
        ),
        aY=Coefficient(
            meaning="growth of effective size, per year", example=0.5, low=-3.0, high=5.0, start=(0.0, 1.5)
        ),
        bY=Coefficient(
            meaning="growth of effective data, per year", example=0.4, low=-3.0, high=5.0, start=(0.0, 1.5)
        ),
    )
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2403.05812"
    caveats = (
        "Losses of different years must be of one text, with one tokenizer or per word.",
        "Bigger models came in later years: without small recent ones, progress and scale are one.",
        "The paper finds that compute of one effect halves every 8.4 months (4.5 to 14.3).",
        "No coefficients are shipped: the whole set could not be checked.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta, aY, bY = theta
        years = x["Y"] - FIRST_YEAR
        size = A * np.exp(-alpha * (np.log(x["N"]) + aY * years))
        return np.asarray(E + size + B * np.exp(-beta * (np.log(x["D"]) + bY * years)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, B, alpha, beta, aY, bY = theta
        years = x["Y"] - FIRST_YEAR
        log_N, log_D = np.log(x["N"]) + aY * years, np.log(x["D"]) + bY * years
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        parts = (
            np.ones_like(size * data),
            size,
            data,
            -A * size * log_N,
            -B * data * log_D,
            -A * size * alpha * years,
            -B * data * beta * years,
        )
        return np.stack(np.broadcast_arrays(*parts))


def halving_years(theta: Array) -> Array:
    """Return the years in which the compute of one effect halves: ln 2 / (aY + bY).

    Effective compute is six times effective size times effective data, so its growth rate is the sum.
    """
    return np.asarray(np.log(2) / (theta[5] + theta[6]))
