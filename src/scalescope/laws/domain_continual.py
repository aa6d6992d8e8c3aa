r"""Loss when pre-training goes on with a share of domain data: the D-CPT law of Que et al. (2024).

.. math:: L(N, D, r) = E + \frac{A}{N^\alpha} + \frac{B\, r^\eta}{D^\beta} + \frac{C}{(r + \epsilon)^\gamma}

r is the share of the corpus that the loss is measured on, domain or general. Source:
https://arxiv.org/abs/2406.01375, eq. 6.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import power_term, stacked

VARIABLES = {
    "N": Variable(column="params", low=1e8, high=1e10, trend=-1),
    "D": Variable(column="tokens", low=1e8, high=1e11, trend=-1, meaning="tokens of the continued training"),
    "r": Variable(
        column="mixture", low=0.0, high=1.0, logarithmic=False, meaning="share of the measured corpus"
    ),
}
COEFFICIENTS = {
    "E": Coefficient(meaning="irreducible loss", example=0.6, low=0.0, high=20.0),
    "A": Coefficient(meaning="scale of what a finite size costs", example=120.0, positive=True),
    "alpha": Coefficient(
        meaning="size exponent", example=0.3, positive=True, low=0.01, high=3.0, start=(0.1, 0.8)
    ),
    "B": Coefficient(meaning="scale of what few tokens cost", example=300.0, positive=True),
    "eta": Coefficient(
        meaning="share exponent of that cost", example=0.3, low=-1.0, high=3.0, start=(0.0, 1.0)
    ),
    "beta": Coefficient(
        meaning="data exponent", example=0.32, positive=True, low=0.01, high=3.0, start=(0.1, 0.8)
    ),
    "C": Coefficient(meaning="scale of what a small share costs", example=0.35, positive=True),
    "epsilon": Coefficient(
        meaning="share added to r, which keeps a share of zero finite",
        example=0.1,
        positive=True,
        low=1e-3,
        high=1.0,
        start=(0.02, 0.5),
    ),
    "gamma": Coefficient(
        meaning="share exponent", example=0.6, positive=True, low=0.01, high=3.0, start=(0.2, 1.5)
    ),
}


@register
class DomainContinual(Law):
    """Size, data weighted by the share, and a shifted power law in the share itself."""

    name = "domain-continual"
    title = "Loss of continued pre-training with a share of domain data, Que et al. 2024"
    family = "mixtures"
    formula = "L(N, D, r) = E + A/N^alpha + B r^eta/D^beta + C/(r + epsilon)^gamma"
    variables = named(**VARIABLES)
    coefficients = named(**COEFFICIENTS)
    linear = ("E", "A", "B", "C")
    reference = "https://arxiv.org/abs/2406.01375, eq. 6"
    caveats = (
        "Starts from one pre-trained family; another starting point needs its own coefficients.",
        "E, C, epsilon and gamma are told apart only by shares that reach from near zero to one.",
        "With eta above zero more of the domain can cost loss where tokens are few; check the trend in r.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss on the corpus of share r, nats per token; `theta` is ordered as `coefficients`."""
        E, A, alpha, B, eta, beta, C, epsilon, gamma = theta
        data = B * x["r"] ** eta * x["D"] ** -beta
        return np.asarray(E + A * x["N"] ** -alpha + data + C * (x["r"] + epsilon) ** -gamma)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, alpha, B, eta, beta, C, epsilon, gamma = theta
        _, by_A, by_alpha = power_term(A, alpha, x["N"])
        data, fall, by_beta = power_term(B, beta, x["D"])
        share = x["r"] ** eta
        # A share of zero has no logarithm, but there the whole term is zero.
        log_r = np.log(np.where(x["r"] > 0, x["r"], 1.0))
        at = x["r"] + epsilon
        rest, by_C, by_gamma = power_term(C, gamma, at)
        return stacked(
            np.ones_like(data * rest),
            by_A,
            by_alpha,
            fall * share,
            data * share * log_r,
            by_beta * share,
            by_C,
            -gamma * rest / at,
            by_gamma,
        )

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes and tokens over their ranges; shares from 0.005, denser where they are small."""
        N, D, r = (low_discrepancy(n, column) for column in range(3))
        return {"N": 10 ** (8 + 2 * N), "D": 10 ** (8 + 3 * D), "r": 0.005 + 0.995 * r**2}
