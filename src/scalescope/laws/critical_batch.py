r"""The critical batch: where more examples per step stop saving as many steps, Kaplan et al. (2020).

.. math:: B_{\mathrm{crit}}(L) = B_* / L^{1/\alpha_B}

Training to one loss at batch B takes S steps and E = B S tokens that lie on one hyperbola (McCandlish et al.
2018, https://arxiv.org/abs/1812.06162),

.. math:: (S / S_{\min} - 1)(E / E_{\min} - 1) = 1, \quad B_{\mathrm{crit}} = E_{\min} / S_{\min}

which gives the least steps and the least compute behind a run (Kaplan et al., eq. 5.4 and 5.5).
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class CriticalBatch(Law):
    """A power law in the loss alone: the lower the loss, the larger the batch that pays."""

    name = "critical-batch"
    title = "Critical batch from the loss, Kaplan et al. 2020"
    family = "settings"
    formula = "B(L) = Bstar / L^(1/alphaB)"
    variables = named(L=Variable(column="loss", low=1.5, high=8.0, trend=-1))
    coefficients = named(
        Bstar=Coefficient(meaning="critical batch at a loss of 1 nat, tokens", example=2e8, positive=True),
        alphaB=Coefficient(
            meaning="inverse of the exponent", example=0.21, positive=True, low=0.01, high=10.0
        ),
    )
    linear = ("Bstar",)
    target = "batch_tokens"
    reference = "https://arxiv.org/abs/2001.08361, eq. 1.4 and 5.3"
    caveats = (
        "A run at it takes twice the least steps and twice the least tokens.",
        "Of one optimiser and one kind of data; it knows nothing of the learning rate.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"Bstar": 2e8, "alphaB": 0.21},
                source="https://arxiv.org/abs/2001.08361, eq. 1.4",
                count="params_nonembedding",
                verified=True,
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted batch in tokens; `theta` is ordered as `coefficients`."""
        Bstar, alpha_B = theta
        return np.asarray(Bstar * np.exp(-np.log(x["L"]) / alpha_B))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        Bstar, alpha_B = theta
        log_L = np.log(x["L"])
        fall = np.exp(-log_L / alpha_B)
        return np.stack(np.broadcast_arrays(fall, Bstar * fall * log_L / alpha_B**2))

    def starts(self, target: Array, **x: Array) -> Array:
        """Inverse exponents from small to large, through the median run."""
        alpha_B = np.array([0.05, 0.1, 0.2, 0.4, 1.0])
        return np.column_stack([np.median(target) * np.median(x["L"]) ** (1 / alpha_B), alpha_B])


def minimum_steps(steps: Array, batch: Array, critical: Array) -> Array:
    """Return the least steps to the loss that a run reached, as if its batch had no limit.

    `batch` and `critical` are in one unit, such as tokens. Kaplan et al. (2020), eq. 5.4.
    """
    return np.asarray(steps / (1 + critical / batch))


def minimum_compute(compute: Array, batch: Array, critical: Array) -> Array:
    """Return the least FLOP to the loss that a run reached, as if its batch were tiny.

    `batch` and `critical` are in one unit, such as tokens. Kaplan et al. (2020), eq. 5.5.
    """
    return np.asarray(compute / (1 + batch / critical))
