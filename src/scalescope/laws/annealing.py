r"""A whole training curve from its learning-rate schedule: Tissue et al. (2024), eq. 1.

.. math:: L(s) = L_0 + A S_1^{-\alpha} - C S_2

:math:`S_1` sums the learning rate up to a step; :math:`S_2` sums how far it fell, with a memory of about
1,000 steps (see `rate_sums` for both, and for how points between which steps are missing are treated).
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, named, register
from scalescope.laws.rate_sums import CURVE_VARIABLES, annealing_sums, curve_design
from scalescope.laws.terms import power_term, stacked


@register
class Annealing(Law):
    """A power law in the summed rate, less what annealing gains."""

    name = "annealing"
    title = "A training curve from its learning-rate schedule, Tissue et al. 2024"
    family = "curves"
    formula = "L(s) = L_0 + A/S1^alpha - C S2"
    variables = CURVE_VARIABLES
    coefficients = named(
        L_0=Coefficient(
            meaning="loss that no training removes", example=2.6, positive=True, low=1e-3, high=20.0
        ),
        A=Coefficient(meaning="scale of what is still to learn", example=0.5, positive=True),
        alpha=Coefficient(
            meaning="exponent of the summed rate",
            example=0.5,
            positive=True,
            low=0.01,
            high=5.0,
            start=(0.1, 1.5),
        ),
        C=Coefficient(meaning="gain from annealing", example=0.3, low=0.0),
    )
    linear = ("L_0", "A", "C")
    reference = "https://arxiv.org/abs/2408.11029, eq. 1"
    caveats = (
        "Leave the warm-up out: the rate is taken to be that of a curve's first point since step 0.",
        "The memory of S2 is fixed at 0.999 a step.",
        "More steps at a rate of zero still lower the predicted loss, which no training does.",
        "One network, one batch size and one corpus a fit; `annealing-size` adds the size.",
    )
    published = MappingProxyType(
        {
            "refit-100m-cosine": Published(
                coefficients={"L_0": 2.738, "A": 0.01977, "alpha": 0.887, "C": 0.3995},
                source="https://arxiv.org/abs/2408.11029, eq. 1; constants of a re-fit by others",
                note="100M parameters, cosine schedule. The table behind the re-fit is not public.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        L_0, A, alpha, C = theta
        S1, S2 = annealing_sums(x["curve"], x["step"], x["rate"])
        return np.asarray(L_0 + A * S1**-alpha - C * S2)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, alpha, _ = theta
        S1, S2 = annealing_sums(x["curve"], x["step"], x["rate"])
        _, fall, by_alpha = power_term(A, alpha, S1)
        return stacked(np.ones_like(fall), fall, by_alpha, -S2)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Points of four curves under different schedules."""
        return curve_design(n)
