r"""What pre-training on other data is worth in data of the target domain, Hernandez et al. (2021).

.. math:: D_T = k\, D_F^{\alpha} N^{\beta}

:math:`D_T` is the text of the target domain, in characters, that a network trained from scratch would need
on top of the fine-tuning data :math:`D_F` to reach the same loss. N leaves embeddings out. Source:
https://arxiv.org/abs/2102.01293, eq. 1.1.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked

SOURCE = "https://arxiv.org/abs/2102.01293, eq. 1.1"


@register
class DataTransferred(Law):
    """A power law in fine-tuning data times one in size."""

    name = "data-transferred"
    title = "Data that pre-training is worth, Hernandez et al. 2021"
    family = "limited-data"
    formula = "D_T = k D_F^alpha N^beta"
    variables = named(
        N=Variable(column="params", low=1e5, high=1e9, trend=1),
        D_F=Variable(
            column="characters", low=1e5, high=1e10, trend=1, meaning="characters of the new domain"
        ),
    )
    coefficients = named(
        k=Coefficient(meaning="worth at one character and one parameter", example=1.9e4, positive=True),
        alpha=Coefficient(
            meaning="exponent of fine-tuning data: low where the domains are close", example=0.18, high=3.0
        ),
        beta=Coefficient(meaning="exponent of size", example=0.38, high=3.0),
    )
    target = "characters_transferred"
    linear = ("k",)
    count = "params_nonembedding"
    reference = SOURCE
    caveats = (
        "Fitted in the low-data regime, up to a tenth of what training from scratch needs.",
        "alpha depends on how close the two domains are, beta on the architecture and the target domain.",
    )
    published = MappingProxyType(
        {
            "hernandez2021-text": Published(
                coefficients={"k": 1.9e4, "alpha": 0.18, "beta": 0.38},
                source=f"{SOURCE}; from text to Python",
                count="params_nonembedding",
                verified=True,
            ),
            "hernandez2021-text-and-code": Published(
                coefficients={"k": 2.1e5, "alpha": 0.096, "beta": 0.38},
                source=f"{SOURCE}; from half text, half other code to Python",
                count="params_nonembedding",
                verified=True,
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Characters that pre-training is worth; `theta` is ordered as `coefficients`."""
        k, alpha, beta = theta
        return np.asarray(k * x["D_F"] ** alpha * x["N"] ** beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        k, alpha, beta = theta
        worth = x["D_F"] ** alpha * x["N"] ** beta
        return stacked(worth, k * worth * np.log(x["D_F"]), k * worth * np.log(x["N"]))

    def starts(self, target: Array, **x: Array) -> Array:
        """The least squares of the logarithms, and exponents around it with k through the median run."""
        log_D, log_N, log_worth = np.log(x["D_F"]), np.log(x["N"]), np.log(target)
        columns = np.stack([np.ones_like(log_D), log_D, log_N], axis=1)
        _, alpha, beta = np.linalg.lstsq(columns, log_worth, rcond=None)[0]
        rows = []
        for up, out in product((0.0, -0.1, 0.1), (0.0, -0.1, 0.1)):
            middle = np.median(log_worth - (alpha + up) * log_D - (beta + out) * log_N)
            rows.append((np.exp(middle), alpha + up, beta + out))
        low, high = self.bounds()
        return np.clip(np.array(rows), low, high)
