r"""Error on tasks from the loss: Gadre et al. (2024), eq. 5.

.. math:: Err(L) = \epsilon - k\, e^{-\gamma L}

A mean over many tasks: :math:`\epsilon` is what guessing gives, the error falls ever faster with the loss.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked

_SOURCE = "https://arxiv.org/abs/2403.08540, eq. 5; constants re-fitted to its table of 104 models, RedPajama"


@register
class ErrorFromLoss(Law):
    """An exponential of the loss below the error of guessing."""

    name = "error-from-loss"
    title = "Error on tasks from the loss, Gadre et al. 2024"
    family = "downstream"
    formula = "Err(L) = epsilon - k exp(-gamma L)"
    variables = named(L=Variable(column="loss", low=1.8, high=6.0, logarithmic=False, trend=1))
    coefficients = named(
        epsilon=Coefficient(meaning="error of guessing", example=0.8, low=0.0, high=2.0),
        k=Coefficient(meaning="scale of what a lower loss gains", example=2.0, positive=True),
        gamma=Coefficient(
            meaning="gain a nat of loss", example=0.8, positive=True, low=0.01, high=20.0, start=(0.2, 5.0)
        ),
    )
    target = "error"
    scale = "raw"
    linear = ("epsilon", "k")
    reference = "https://arxiv.org/abs/2403.08540, eq. 5"
    caveats = (
        "Holds for a mean over many tasks; a single task can stay at chance and then fall at once.",
        "The loss must come from the same evaluation text for every model.",
    )
    published = MappingProxyType(
        {
            "gadre2024-17-tasks": Published(
                coefficients={"epsilon": 0.8570, "k": 2.206, "gamma": 0.7146},
                source=_SOURCE,
                verified=True,
                note="Mean error over 17 tasks; L is the loss on the evaluation text of C4.",
            ),
            "gadre2024-46-tasks": Published(
                coefficients={"epsilon": 0.7608, "k": 1.323, "gamma": 0.8907},
                source=_SOURCE,
                verified=True,
                note="Mean error over 46 tasks; L is the loss on the evaluation text of C4.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted share of wrong answers; `theta` is ordered as `coefficients`."""
        epsilon, k, gamma = theta
        return np.asarray(epsilon - k * np.exp(-gamma * x["L"]))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, k, gamma = theta
        gain = np.exp(-gamma * x["L"])
        return stacked(np.ones_like(gain), -gain, k * x["L"] * gain)
