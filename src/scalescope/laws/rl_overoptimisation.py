r"""True reward when a policy is trained against a learned reward: Gao et al. (2022).

.. math:: R(d) = d\,(\alpha - \beta \ln d), \qquad d = \sqrt{KL}
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


@register
class RLOveroptimisation(Law):
    """A rise with the root of the divergence that its logarithm turns round."""

    name = "rl-overoptimisation"
    title = "True reward under reinforcement learning, Gao et al. 2022"
    family = "after-training"
    formula = "R(d) = d (alpha - beta ln d); d = sqrt(KL)"
    variables = named(KL=Variable(column="kl", low=0.01, high=300.0))
    coefficients = named(
        alpha=Coefficient(meaning="gain at a divergence of one nat", example=0.5),
        beta=Coefficient(meaning="how soon the learned reward is exploited", example=0.2),
    )
    target = "reward"
    scale = "raw"
    linear = ("alpha", "beta")
    reference = "https://arxiv.org/abs/2210.10760, section 3"
    caveats = (
        "Rewards are relative to the first policy, whose reward is zero.",
        "The slope at the start is infinite: do not read it near KL = 0.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted true reward; `theta` is ordered as `coefficients`."""
        alpha, beta = theta
        d, log_d = _root(x["KL"])
        return np.asarray(d * (alpha - beta * log_d))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        d, log_d = _root(x["KL"])
        return stacked(d + 0 * theta[0], -d * log_d)


def _root(kl: Array) -> tuple[Array, Array]:
    """Root of the divergence and its logarithm, where a divergence of zero gives a reward of zero."""
    d = np.sqrt(kl)
    return d, np.log(np.where(d > 0, d, 1.0))
