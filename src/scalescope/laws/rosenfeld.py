r"""Error from size and data with its start at chance level, Rosenfeld et al. (2020).

.. math::

    \tilde\epsilon(n, m) = a n^{-\alpha} + b m^{-\beta} + c_\infty, \quad
    \epsilon = \epsilon_0 \left|\frac{\tilde\epsilon}{\tilde\epsilon - i \eta}\right|

Only :math:`a/\eta`, :math:`b/\eta` and :math:`c_\infty/\eta` act: multiplying all four by one number changes
nothing. The redundancy is removed by :math:`\eta = \epsilon_0`, so that

.. math:: \epsilon = \frac{\tilde\epsilon}{\sqrt{1 + (\tilde\epsilon / \epsilon_0)^2}}, \quad
    \tilde\epsilon = E + A N^{-\alpha} + B D^{-\beta}

which is `chinchilla` far below :math:`\epsilon_0`, and :math:`\epsilon_0` for a model that learned nothing.
Coefficients of the paper times :math:`\epsilon_0/\eta` are these.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register


@register
class Rosenfeld(Law):
    """Two power laws over a floor, bent so that they end at the level of an untrained model."""

    name = "rosenfeld"
    title = "Loss from size and data down from chance level, Rosenfeld et al. 2020"
    family = "size-and-data"
    formula = "L(N, D) = e / sqrt(1 + (e/ceiling)^2),  e = E + A/N^alpha + B/D^beta"
    variables = named(
        N=Variable(column="params", low=1e4, high=1e9, trend=-1),
        D=Variable(column="tokens", low=1e5, high=1e11, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss, before the bend", example=1.5, low=0.0, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=150.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=900.0, positive=True),
        alpha=Coefficient(meaning="size exponent", example=0.35, positive=True, low=0.01, high=3.0),
        beta=Coefficient(meaning="data exponent", example=0.40, positive=True, low=0.01, high=3.0),
        ceiling=Coefficient(meaning="loss of a model that learned nothing", example=9.0, positive=True),
    )
    reference = "https://arxiv.org/abs/1909.12673, eq. 4 and 5"
    caveats = (
        "Without runs near chance level the ceiling is not settled, and the law is that of Hoffmann et al.",
        "Fix the ceiling where it is known: the logarithm of the vocabulary, or the error of guessing.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta, ceiling = theta
        free = E + A * x["N"] ** -alpha + B * x["D"] ** -beta
        return np.asarray(free / np.sqrt(1 + (free / ceiling) ** 2))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta, ceiling = theta
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        ratio = (E + A * size + B * data) / ceiling
        slope = (1 + ratio**2) ** -1.5
        parts = (
            slope,
            slope * size,
            slope * data,
            -slope * A * size * log_N,
            -slope * B * data * log_D,
            slope * ratio**3,
        )
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents, floors and ceilings on a grid; size and data share what the floor leaves."""
        size, data, middle = np.median(x["N"]), np.median(x["D"]), np.median(target)
        rows = []
        for share, alpha, beta, over in product((0.2, 0.7), (0.2, 0.5), (0.2, 0.5), (1.02, 1.3, 4.0)):
            ceiling, E = over * target.max(), share * target.min()
            free = middle / np.sqrt(1 - (middle / ceiling) ** 2)
            each = max(free - E, 1e-3 * middle) / 2
            rows.append((E, each * size**alpha, each * data**beta, alpha, beta, ceiling))
        return np.array(rows)
