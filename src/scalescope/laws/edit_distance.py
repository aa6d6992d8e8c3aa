r"""Wrong tokens of an answer, the smooth twin of exact match: Schaeffer et al. (2023).

.. math:: \Delta(N, T) = T \left(1 - e^{-\ell(N)}\right), \qquad \ell(N) = (N/c)^{-\alpha}
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Law, Variable, named, register
from scalescope.laws.exact_match import TOKEN_LOSS, token_loss, token_loss_slopes


@register
class EditDistance(Law):
    """The expected number of wrong tokens in an answer."""

    name = "edit-distance"
    title = "Wrong tokens of an answer from size, Schaeffer et al. 2023"
    family = "downstream"
    formula = "Delta(N, T) = T (1 - exp(-(N/c)^-alpha))"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e12, trend=-1),
        T=Variable(column="answer_tokens", low=1.0, high=10.0, trend=1),
    )
    coefficients = TOKEN_LOSS
    target = "edit_distance"
    scale = "raw"
    reference = "https://arxiv.org/abs/2304.15004, section 2"
    caveats = ("Tokens are taken as independent and equally hard.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted number of wrong tokens; `theta` is ordered as `coefficients`."""
        return np.asarray(-x["T"] * np.expm1(-token_loss(theta, x["N"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        spent = token_loss(theta, x["N"])
        return x["T"] * np.exp(-spent) * spent * token_loss_slopes(theta, x["N"])
