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
        return np.asarray(E + A * np.exp(-alpha * np.log(x["N"])) + B * np.exp(-beta * np.log(x["D"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return Chinchilla.value_and_gradient(self, theta, **x)[1]

    def value_and_gradient(self, theta: Array, **x: Array) -> tuple[Array, Array]:
        """Both at once, with one exponential for each term and hardly an array that is not returned."""
        E, A, B, alpha, beta = theta
        less_N, less_D = -np.log(x["N"]), -np.log(x["D"])
        whole = np.broadcast_shapes(np.shape(E), less_N.shape)
        # In memory the coefficients are the last axis but one: sums over rows run fastest like this.
        stacked = np.empty((*whole[:-1], 5, *whole[-1:]))
        out = np.moveaxis(stacked, -2, 0) if whole else stacked
        one, size, data, by_alpha, by_beta = (out[i, ...] for i in range(5))
        one.fill(1.0)
        np.exp(np.multiply(alpha, less_N, out=size), out=size)
        np.exp(np.multiply(beta, less_D, out=data), out=data)
        value, data_term = A * size, B * data
        np.multiply(value, less_N, out=by_alpha)
        np.multiply(data_term, less_D, out=by_beta)
        value += data_term
        value += E
        return value, out

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents and floors on a grid; A and B share what the floor leaves at the median run."""
        floors = np.array([0.2, 0.5, 0.8, 0.95]) * target.min()
        size, data = np.median(x["N"]), np.median(x["D"])
        rows = []
        for E, alpha, beta in product(floors, (0.2, 0.4, 0.8), (0.2, 0.4, 0.8)):
            share = max(np.median(target) - E, 1e-3) / 2
            rows.append((E, share * size**alpha, share * data**beta, alpha, beta))
        return np.array(rows)
