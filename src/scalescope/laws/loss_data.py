r"""Loss from data alone, where size does not bind.

.. math:: L(D) = E + B D^{-\beta}

The offset power law of Hestness et al. (2017); with :math:`E = 0` it is eq. 1.2 of Kaplan et al. (2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scalescope.laws.base import Array, Published, register
from scalescope.laws.powers import power_gradient, power_loss, power_starts


@register
class LossData:
    """Irreducible loss plus one power law in training tokens."""

    name: ClassVar[str] = "loss-data"
    title: ClassVar[str] = "Loss from data alone"
    question: ClassVar[str] = "How does loss fall with one factor when nothing else binds?"
    formula: ClassVar[str] = "L(D) = E + B/D^beta"
    variables: ClassVar[tuple[str, ...]] = ("D",)
    coefficients: ClassVar[tuple[str, ...]] = ("E", "B", "beta")
    positive: ClassVar[frozenset[str]] = frozenset({"B", "beta"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"E": (0.0, 20.0), "beta": (0.01, 3.0)}
    reference: ClassVar[str] = "https://arxiv.org/abs/1712.00409; https://arxiv.org/abs/2001.08361, eq. 1.2"
    caveats: ClassVar[tuple[str, ...]] = (
        "Holds where size does not bind; on an IsoFLOP grid it follows the frontier of the runs at hand.",
        "Every token must be fresh.",
    )
    published: ClassVar[Mapping[str, Published]] = {
        "kaplan2020": Published(
            coefficients={"E": 0.0, "B": 5.4e13**0.095, "beta": 0.095},
            source="https://arxiv.org/abs/2001.08361, eq. 1.2: (Dc/D)^beta, Dc 5.4e13 tokens",
            count="params_nonembedding",
            verified=True,
            note="B = Dc^beta; a pure power law, so E is 0. Models stopped early on limited data.",
            ranges={"D": (2.2e7, 2.3e10)},
        ),
    }

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss; `theta` is ordered as `coefficients`."""
        return power_loss(theta, x["D"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["D"])

    def starts(self, loss: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(loss, x["D"])
