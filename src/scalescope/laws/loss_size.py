r"""Loss from size alone, where data do not bind.

.. math:: L(N) = E + A N^{-\alpha}

The offset power law of Hestness et al. (2017); with :math:`E = 0` it is eq. 1.1 of Kaplan et al. (2020).
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.henighan import LOSS_BY_SIZE
from scalescope.laws.powers import power_gradient, power_starts, power_value


@register
class LossSize(Law):
    """Irreducible loss plus one power law in size."""

    name = "loss-size"
    title = "Loss from size alone"
    family = "one-factor"
    formula = "L(N) = E + A/N^alpha"
    variables = named(N=Variable(column="params", low=1e4, high=1e9, trend=-1))
    coefficients = named(
        E=Coefficient(meaning="loss that size does not remove", example=0.9, low=0.0, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=35.0, positive=True),
        alpha=Coefficient(meaning="size exponent", example=0.4, positive=True, low=0.01, high=3.0),
    )
    linear = ("E", "A")
    reference = (
        "https://arxiv.org/abs/1712.00409; https://arxiv.org/abs/2001.08361, eq. 1.1; "
        "https://arxiv.org/abs/2010.14701, table 1"
    )
    caveats = (
        "Holds where data do not bind; on an IsoFLOP grid it follows the frontier of the runs at hand.",
        "Read without the other factor, E takes in the loss that more data would still remove.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"E": 0.0, "A": 8.8e13**0.076, "alpha": 0.076},
                source="https://arxiv.org/abs/2001.08361, eq. 1.1: (Nc/N)^alpha, Nc 8.8e13",
                count="params_nonembedding",
                verified=True,
                note="A = Nc^alpha; a pure power law, so E is 0.",
                ranges={"N": (768.0, 1.5e9)},
            ),
            **LOSS_BY_SIZE,
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        return power_value(theta, x["N"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["N"])

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(target, x["N"])
