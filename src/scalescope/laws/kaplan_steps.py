r"""Loss from size and steps, Kaplan et al. (2020), for data without end.

.. math:: L(N, S) = (N_c / N)^{\alpha_N} + (S_c / S)^{\alpha_S}

S is the least number of steps that reaches the loss: at a batch far above the critical one. Steps taken at
another batch are converted by `minimum_steps` of the law `critical-batch`.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class KaplanSteps(Law):
    """Two pure power laws, one in size and one in optimiser steps."""

    name = "kaplan-steps"
    title = "Loss from size and steps, Kaplan et al. 2020"
    family = "size-and-data"
    formula = "L(N, S) = (Nc/N)^alphaN + (Sc/S)^alphaS"
    variables = named(
        N=Variable(column="params", low=1e4, high=1e10, trend=-1),
        S=Variable(
            column="steps", low=1e3, high=1e6, trend=-1, meaning="least steps: those of a very large batch"
        ),
    )
    coefficients = named(
        Nc=Coefficient(meaning="size at which its term is 1 nat", example=6.5e13, positive=True),
        Sc=Coefficient(meaning="steps at which their term is 1 nat", example=2.1e3, positive=True),
        alphaN=Coefficient(meaning="size exponent", example=0.077, positive=True, low=0.005, high=3.0),
        alphaS=Coefficient(meaning="steps exponent", example=0.76, positive=True, low=0.005, high=3.0),
    )
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2001.08361, eq. 1.6 and table 3"
    caveats = (
        "Has no floor: it promises a loss of zero, so far forecasts are optimistic.",
        "S is not the steps of the run unless its batch is far above the critical one: convert them first.",
        "Of one learning-rate schedule: a point before the rate has decayed lies above a finished run.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"Nc": 6.5e13, "Sc": 2.1e3, "alphaN": 0.077, "alphaS": 0.76},
                source="https://arxiv.org/abs/2001.08361, table 3",
                count="params_nonembedding",
                note="Nc was not checked against the paper; the others were.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        Nc, Sc, alpha_N, alpha_S = theta
        return np.asarray((Nc / x["N"]) ** alpha_N + (Sc / x["S"]) ** alpha_S)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        Nc, Sc, alpha_N, alpha_S = theta
        log_N, log_S = np.log(Nc / x["N"]), np.log(Sc / x["S"])
        size, steps = np.exp(alpha_N * log_N), np.exp(alpha_S * log_S)
        parts = (size * alpha_N / Nc, steps * alpha_S / Sc, size * log_N, steps * log_S)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents on a grid; at the median run the size has most of the loss, or half."""
        size, steps, middle = np.median(x["N"]), np.median(x["S"]), np.median(target)
        rows = []
        for alpha_N, alpha_S, share in product((0.05, 0.15, 0.4), (0.2, 0.5, 1.0), (0.5, 0.9)):
            Nc = size * (share * middle) ** (1 / alpha_N)
            rows.append((Nc, steps * ((1 - share) * middle) ** (1 / alpha_S), alpha_N, alpha_S))
        return np.array(rows)
