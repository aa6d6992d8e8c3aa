r"""Loss from data alone, where size does not bind.

.. math:: L(D) = E + B D^{-\beta}

The offset power law of Hestness et al. (2017); with :math:`E = 0` it is eq. 1.2 of Kaplan et al. (2020).
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.powers import power_gradient, power_starts, power_value


@register
class LossData(Law):
    """Irreducible loss plus one power law in training tokens."""

    name = "loss-data"
    title = "Loss from data alone"
    family = "one-factor"
    formula = "L(D) = E + B/D^beta"
    variables = named(D=Variable(column="tokens", low=1e6, high=1e11, trend=-1))
    coefficients = named(
        E=Coefficient(meaning="loss that data do not remove", example=0.9, low=0.0, high=20.0),
        B=Coefficient(meaning="scale of what finite data cost", example=110.0, positive=True),
        beta=Coefficient(meaning="data exponent", example=0.37, positive=True, low=0.01, high=3.0),
    )
    linear = ("E", "B")
    reference = "https://arxiv.org/abs/1712.00409; https://arxiv.org/abs/2001.08361, eq. 1.2"
    caveats = (
        "Holds where size does not bind; on an IsoFLOP grid it follows the frontier of the runs at hand.",
        "Every token must be fresh.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"E": 0.0, "B": 5.4e13**0.095, "beta": 0.095},
                source="https://arxiv.org/abs/2001.08361, eq. 1.2: (Dc/D)^beta, Dc 5.4e13 tokens",
                count="params_nonembedding",
                verified=True,
                note="B = Dc^beta; a pure power law, so E is 0. Models stopped early on limited data.",
                ranges={"D": (2.2e7, 2.3e10)},
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        return power_value(theta, x["D"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["D"])

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(target, x["D"])
