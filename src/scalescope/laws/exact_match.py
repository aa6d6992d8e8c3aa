r"""Exact match of an answer of many tokens, which makes a smooth gain look sudden: Schaeffer et al. (2023).

.. math:: Acc(N, T) = e^{-T \ell(N)}, \qquad \ell(N) = (N/c)^{-\alpha}

:math:`\ell` is the cross-entropy a token, a plain power law in size; all T tokens must be right at once.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked

TOKEN_LOSS = named(
    c=Coefficient(
        meaning="size at which a token of the answer costs one nat",
        example=1e8,
        positive=True,
        low=1e-3,
        high=1e30,
        start=(1e5, 1e11),
    ),
    alpha=Coefficient(
        meaning="size exponent of the loss a token",
        example=0.3,
        positive=True,
        low=0.01,
        high=5.0,
        start=(0.08, 1.5),
    ),
)
"""Coefficients of the power law beneath, which `edit-distance` shares."""


@register
class ExactMatch(Law):
    """The chance that all tokens of an answer are right."""

    name = "exact-match"
    title = "Exact match of an answer from size, Schaeffer et al. 2023"
    family = "downstream"
    formula = "Acc(N, T) = exp(-T (N/c)^-alpha)"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e12, trend=1),
        T=Variable(column="answer_tokens", low=1.0, high=10.0, trend=-1),
    )
    coefficients = TOKEN_LOSS
    target = "accuracy"
    scale = "raw"
    reference = "https://arxiv.org/abs/2304.15004, section 2"
    caveats = (
        "Tokens are taken as independent and equally hard.",
        "What looks like emergence here is a power law in a smooth metric: fit `edit-distance` beside it.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted share of right answers; `theta` is ordered as `coefficients`."""
        return np.asarray(np.exp(-x["T"] * token_loss(theta, x["N"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        spent = x["T"] * token_loss(theta, x["N"])
        return -np.exp(-spent) * spent * token_loss_slopes(theta, x["N"])


def token_loss(theta: Array, N: Array) -> Array:
    """Cross-entropy a token, nats, for `theta` of (c, alpha)."""
    c, alpha = theta
    return np.asarray(np.exp(-alpha * (np.log(N) - np.log(c))))


def token_loss_slopes(theta: Array, N: Array) -> Array:
    """Derivatives of the logarithm of `token_loss` by c and alpha, stacked first."""
    c, alpha = theta
    return stacked(alpha / c, np.log(c) - np.log(N))
