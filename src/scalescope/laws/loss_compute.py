r"""Loss from compute alone, along the best runs of every budget.

.. math:: L(C) = E + K C^{-\gamma}

With :math:`E = 0` it is eq. 1.3 of Kaplan et al. (2020), whose compute is in PF-days: 8.64e19 FLOP each.
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.henighan import LOSS_BY_COMPUTE
from scalescope.laws.powers import power_gradient, power_starts, power_value
from scalescope.points.conversions import PF_DAY


@register
class LossCompute(Law):
    """Irreducible loss plus one power law in training compute."""

    name = "loss-compute"
    title = "Loss from compute, size and data chosen well"
    family = "one-factor"
    formula = "L(C) = E + K/C^gamma"
    variables = named(C=Variable(column="compute", low=1e14, high=1e22, trend=-1))
    coefficients = named(
        E=Coefficient(meaning="loss that compute does not remove", example=0.6, low=0.0, high=20.0),
        K=Coefficient(meaning="scale of the falling part", example=72.0, positive=True),
        gamma=Coefficient(meaning="compute exponent", example=0.16, positive=True, low=0.005, high=2.0),
    )
    linear = ("E", "K")
    reference = "https://arxiv.org/abs/2001.08361, eq. 1.3; https://arxiv.org/abs/2010.14701, table 1"
    caveats = (
        "Describes the best of each budget: a badly chosen size lies above it.",
        "A handful of budgets hardly separates E from gamma.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"E": 0.0, "K": (3.1e8 * PF_DAY) ** 0.050, "gamma": 0.050},
                source="https://arxiv.org/abs/2001.08361, eq. 1.3: (Cc/Cmin)^gamma, Cc 3.1e8 PF-days",
                count="params_nonembedding",
                note="C is Cmin, the compute at a batch far below the critical one; K = Cc^gamma in FLOP.",
            ),
            "kaplan2020-naive": Published(
                coefficients={"E": 0.0, "K": (1.6e7 * PF_DAY) ** 0.057, "gamma": 0.057},
                source="https://arxiv.org/abs/2001.08361, appendix A: (Cc/C)^gamma, Cc 1.6e7 PF-days",
                count="params_nonembedding",
                note="C at a fixed batch size; K = Cc^gamma in FLOP.",
            ),
            **LOSS_BY_COMPUTE,
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        return power_value(theta, x["C"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["C"])

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(target, x["C"])
