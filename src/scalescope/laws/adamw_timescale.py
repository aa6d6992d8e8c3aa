r"""The best averaging time of AdamW, from tokens per parameter, Bergsma et al. (2025).

.. math:: \tau^*(N, D) = k\,(D / N)^{p}, \qquad \tau = \frac{B}{\eta \lambda D}

AdamW with learning rate :math:`\eta` and weight decay :math:`\lambda` averages its updates over
:math:`1/(\eta\lambda)` steps; :math:`\tau` is that time as a share of the training. Given any three of batch,
rate, decay and tokens, the law gives the fourth: see `weight_decay`.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class AdamwTimescale(Law):
    """One power of tokens per parameter."""

    name = "adamw-timescale"
    title = "Best averaging time of AdamW from tokens per parameter, Bergsma et al. 2025"
    family = "settings"
    formula = "tau*(N, D) = k (D/N)^p"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=1),
        D=Variable(column="tokens", low=1e8, high=1e12, trend=-1),
    )
    coefficients = named(
        k=Coefficient(
            meaning="share of the training at one token per parameter", example=1.084, positive=True
        ),
        p=Coefficient(meaning="exponent of tokens per parameter", example=-0.527, low=-3.0, high=3.0),
    )
    linear = ("k",)
    target = "timescale"
    reference = "https://arxiv.org/abs/2505.13738"
    caveats = ("Of AdamW with decoupled decay and one schedule; tau is a share of the whole training.",)
    published = MappingProxyType(
        {
            "bergsma2025": Published(
                coefficients={"k": 1.084, "p": -0.527},
                source="https://arxiv.org/abs/2505.13738",
                verified=True,
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted averaging time as a share of the training; `theta` is ordered as `coefficients`."""
        k, p = theta
        return np.asarray(k * np.exp(p * np.log(x["D"] / x["N"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        k, p = theta
        log_ratio = np.log(x["D"] / x["N"])
        power = np.exp(p * log_ratio)
        return np.stack(np.broadcast_arrays(power, k * power * log_ratio))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents on a grid, through the median run."""
        ratio, middle = np.median(x["D"] / x["N"]), np.median(target)
        return np.array([(middle / ratio**p, p) for p in (-1.0, -0.5, 0.0, 0.5)])


def weight_decay(timescale: Array, batch_tokens: Array, learning_rate: Array, tokens: Array) -> Array:
    """Return the decay that gives AdamW this averaging time: B / (tau lr D).

    `timescale` is a share of the training, `batch_tokens` and `tokens` are in tokens.
    """
    return np.asarray(batch_tokens / (timescale * learning_rate * tokens))
