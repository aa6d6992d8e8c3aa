r"""The parametric law of Hoffmann et al. (2022), their "approach 3".

.. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.chinchilla_sets import SETS


@register
class Chinchilla(Law):
    """Irreducible loss plus one power law in size and one in data."""

    name = "chinchilla"
    title = "Loss from size and data, Hoffmann et al. 2022"
    family = "size-and-data"
    formula = "L(N, D) = E + A/N^alpha + B/D^beta"
    variables = named(
        N=Variable(column="params", low=1e5, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e6, high=1e12, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.7, positive=True, low=1e-3, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=400.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=900.0, positive=True),
        alpha=Coefficient(meaning="size exponent", example=0.34, positive=True, low=0.01, high=3.0),
        beta=Coefficient(meaning="data exponent", example=0.32, positive=True, low=0.01, high=3.0),
    )
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2203.15556, eq. 2 and appendix D.3"
    caveats = (
        "E is hardly identified when the runs are far above it; forecasts then lean on the form.",
        "Every token must be fresh: repeated data needs the data-constrained law.",
    )
    published = SETS

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta = theta
        return np.asarray(E + A * x["N"] ** -alpha + B * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta = theta
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        parts = (np.ones_like(E * size), size, data, -A * size * log_N, -B * data * log_D)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents and floors on a grid; A and B share what the floor leaves at the median run."""
        floors = np.array([0.2, 0.5, 0.8, 0.95]) * target.min()
        size, data = np.median(x["N"]), np.median(x["D"])
        rows = []
        for E, alpha, beta in product(floors, (0.2, 0.4, 0.8), (0.2, 0.4, 0.8)):
            share = max(np.median(target) - E, 1e-3) / 2
            rows.append((E, share * size**alpha, share * data**beta, alpha, beta))
        return np.array(rows)
