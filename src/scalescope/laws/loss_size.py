r"""Loss from size alone, where data do not bind.

.. math:: L(N) = E + A N^{-\alpha}

The offset power law of Hestness et al. (2017); with :math:`E = 0` it is eq. 1.1 of Kaplan et al. (2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scalescope.laws.base import Array, Published, register
from scalescope.laws.powers import power_gradient, power_loss, power_starts


@register
class LossSize:
    """Irreducible loss plus one power law in size."""

    name: ClassVar[str] = "loss-size"
    title: ClassVar[str] = "Loss from size alone"
    question: ClassVar[str] = "How does loss fall with one factor when nothing else binds?"
    formula: ClassVar[str] = "L(N) = E + A/N^alpha"
    variables: ClassVar[tuple[str, ...]] = ("N",)
    coefficients: ClassVar[tuple[str, ...]] = ("E", "A", "alpha")
    positive: ClassVar[frozenset[str]] = frozenset({"A", "alpha"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"E": (0.0, 20.0), "alpha": (0.01, 3.0)}
    reference: ClassVar[str] = "https://arxiv.org/abs/1712.00409; https://arxiv.org/abs/2001.08361, eq. 1.1"
    caveats: ClassVar[tuple[str, ...]] = (
        "Holds where data do not bind; on an IsoFLOP grid it follows the frontier of the runs at hand.",
        "Read without the other factor, E takes in the loss that more data would still remove.",
    )
    published: ClassVar[Mapping[str, Published]] = {
        "kaplan2020": Published(
            coefficients={"E": 0.0, "A": 8.8e13**0.076, "alpha": 0.076},
            source="https://arxiv.org/abs/2001.08361, eq. 1.1: (Nc/N)^alpha, Nc 8.8e13",
            count="params_nonembedding",
            verified=True,
            note="A = Nc^alpha; a pure power law, so E is 0.",
            ranges={"N": (768.0, 1.5e9)},
        ),
        "henighan2020-language": Published(
            coefficients={"E": 0.0, "A": 1.47e14**0.070, "alpha": 0.070},
            source="https://arxiv.org/abs/2010.14701, table 1, language",
            count="params_nonembedding",
            verified=True,
        ),
        "henighan2020-image32": Published(
            coefficients={"E": 2.20, "A": 6.3e1**0.13, "alpha": 0.13},
            source="https://arxiv.org/abs/2010.14701, table 1, images of 32x32 pixels",
            count="params_nonembedding",
            verified=True,
        ),
    }

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss; `theta` is ordered as `coefficients`."""
        return power_loss(theta, x["N"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["N"])

    def starts(self, loss: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(loss, x["N"])
