r"""Loss after fine-tuning on a little data of a new domain, Hernandez et al. (2021).

.. math:: L(N, D_F) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N/\alpha_D}
          + \frac{T}{D_F^{\alpha} N^{\beta}}\right]^{\alpha_D}

Kaplan's law with the data replaced by what they are worth with pre-training, :math:`k D_F^\alpha N^\beta`.
The paper writes :math:`D_c / k` for T; only the quotient can be fitted, so T is the coefficient here.
Source: https://arxiv.org/abs/2102.01293, eq. 6.1. N leaves embeddings out, and D_F is in characters.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import stacked


@register
class Transfer(Law):
    """Kaplan's joint law, in effective data that grow with the size of the pre-trained network."""

    name = "transfer"
    title = "Loss after fine-tuning on few data, Hernandez et al. 2021"
    family = "limited-data"
    formula = "L(N, D_F) = ((Nc/N)^(alpha_N/alpha_D) + T/(D_F^alpha N^beta))^alpha_D"
    variables = named(
        N=Variable(column="params", low=1e5, high=1e9, trend=-1),
        D_F=Variable(
            column="characters", low=1e5, high=1e10, trend=-1, meaning="characters of the new domain"
        ),
    )
    coefficients = named(
        Nc=Coefficient(
            meaning="size at which the size alone gives one nat",
            example=6.4e13,
            positive=True,
            start=(1e9, 1e17),
        ),
        alpha_N=Coefficient(
            meaning="size exponent where data do not bind",
            example=0.076,
            positive=True,
            low=0.005,
            high=2.0,
            start=(0.03, 0.3),
        ),
        alpha_D=Coefficient(
            meaning="exponent of effective data where size does not bind",
            example=0.103,
            positive=True,
            low=0.005,
            high=2.0,
            start=(0.05, 0.5),
        ),
        T=Coefficient(
            meaning="Dc/k: data scale over the worth of pre-training",
            example=9.5e8,
            positive=True,
            start=(1e5, 1e12),
        ),
        alpha=Coefficient(
            meaning="exponent of fine-tuning data in their worth", example=0.18, positive=True, high=2.0
        ),
        beta=Coefficient(meaning="exponent of size in that worth", example=0.38, positive=True, high=2.0),
    )
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2102.01293, eq. 6.1"
    caveats = (
        "Holds where fine-tuning data are much fewer than the data they are worth (eq. 1.1).",
        "Dc and k enter as one quotient T; the law `data-transferred` has k by itself.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        Nc, alpha_N, alpha_D, T, alpha, beta = theta
        by_size = (Nc / x["N"]) ** (alpha_N / alpha_D)
        by_data = T * x["D_F"] ** -alpha * x["N"] ** -beta
        return np.asarray((by_size + by_data) ** alpha_D)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        Nc, alpha_N, alpha_D, T, alpha, beta = theta
        ratio, log_D, log_N = np.log(Nc / x["N"]), np.log(x["D_F"]), np.log(x["N"])
        by_size = np.exp(alpha_N / alpha_D * ratio)
        by_data = T * np.exp(-alpha * log_D - beta * log_N)
        both = by_size + by_data
        loss = both**alpha_D
        outer = alpha_D * loss / both
        return stacked(
            outer * by_size * alpha_N / alpha_D / Nc,
            outer * by_size * ratio / alpha_D,
            loss * np.log(both) - outer * by_size * ratio * alpha_N / alpha_D**2,
            outer * by_data / T,
            -outer * by_data * log_D,
            -outer * by_data * log_N,
        )
