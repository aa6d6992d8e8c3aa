r"""The law of Hoffmann et al. with a factor for shape, Bian et al. (2025).

.. math:: L = \left(E + A N^{-\alpha} + B D^{-\beta}\right)\left(1 + \epsilon\,(w/l)^{\gamma}\right)

w is the width of the residual stream and l the number of blocks: wide and shallow models run faster at one
size, and this is what they pay in loss.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register


@register
class AspectRatio(Law):
    """A surface in size and data, raised by a power of width over depth."""

    name = "aspect-ratio"
    title = "Loss from size, data and width over depth, Bian et al. 2025"
    family = "shape"
    formula = "L = (E + A/N^alpha + B/D^beta) (1 + epsilon (w/l)^gamma)"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e8, high=1e12, trend=-1),
        w=Variable(column="width", low=128, high=8192),
        l=Variable(column="n_layers", low=2, high=64),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss of a narrow, deep model", example=1.7, low=0.0, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=400.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=2000.0, positive=True),
        alpha=Coefficient(
            meaning="size exponent", example=0.34, positive=True, low=0.01, high=3.0, start=(0.15, 0.8)
        ),
        beta=Coefficient(
            meaning="data exponent", example=0.37, positive=True, low=0.01, high=3.0, start=(0.15, 0.8)
        ),
        epsilon=Coefficient(
            meaning="share that width over depth of 1 adds", example=2e-3, positive=True, start=(1e-4, 3e-2)
        ),
        gamma=Coefficient(
            meaning="exponent of width over depth",
            example=0.8,
            positive=True,
            low=0.01,
            high=3.0,
            start=(0.2, 1.5),
        ),
    )
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2501.18107"
    caveats = (
        "The form was not checked against the paper, and no coefficients are shipped.",
        "It only ever punishes width over depth: models too deep for their width are not described.",
        "Towards gamma = 0 the factor is a constant and cannot be told from E, A and B.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta, epsilon, gamma = theta
        surface = E + A * x["N"] ** -alpha + B * x["D"] ** -beta
        return np.asarray(surface * (1 + epsilon * (x["w"] / x["l"]) ** gamma))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta, epsilon, gamma = theta
        log_N, log_D, log_R = np.log(x["N"]), np.log(x["D"]), np.log(x["w"] / x["l"])
        size, data, power = np.exp(-alpha * log_N), np.exp(-beta * log_D), np.exp(gamma * log_R)
        surface, factor = E + A * size + B * data, 1 + epsilon * power
        parts = (
            factor,
            factor * size,
            factor * data,
            -factor * A * size * log_N,
            -factor * B * data * log_D,
            surface * power,
            surface * epsilon * power * log_R,
        )
        return np.stack(np.broadcast_arrays(*parts))
