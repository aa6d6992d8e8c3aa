r"""Loss from compute alone, along the best runs of every budget.

.. math:: L(C) = E + K C^{-\gamma}

With :math:`E = 0` it is eq. 1.3 of Kaplan et al. (2020), whose compute is in PF-days: 8.64e19 FLOP each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scalescope.laws.base import Array, Published, register
from scalescope.laws.powers import power_gradient, power_loss, power_starts

PF_DAY = 8.64e19
"""FLOP in one petaFLOP/s-day."""


@register
class LossCompute:
    """Irreducible loss plus one power law in training compute."""

    name: ClassVar[str] = "loss-compute"
    title: ClassVar[str] = "Loss from compute, size and data chosen well"
    question: ClassVar[str] = "How does loss fall with one factor when nothing else binds?"
    formula: ClassVar[str] = "L(C) = E + K/C^gamma"
    variables: ClassVar[tuple[str, ...]] = ("C",)
    coefficients: ClassVar[tuple[str, ...]] = ("E", "K", "gamma")
    positive: ClassVar[frozenset[str]] = frozenset({"K", "gamma"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"E": (0.0, 20.0), "gamma": (0.005, 2.0)}
    reference: ClassVar[str] = "https://arxiv.org/abs/2001.08361, eq. 1.3; https://arxiv.org/abs/2010.14701"
    caveats: ClassVar[tuple[str, ...]] = (
        "Describes the best of each budget: a badly chosen size lies above it.",
        "A handful of budgets hardly separates E from gamma.",
    )
    published: ClassVar[Mapping[str, Published]] = {
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
        "henighan2020-language": Published(
            coefficients={"E": 0.0, "K": (3.47e8 * PF_DAY) ** 0.048, "gamma": 0.048},
            source="https://arxiv.org/abs/2010.14701, table 1, language",
            count="params_nonembedding",
            verified=True,
        ),
        "henighan2020-image32": Published(
            coefficients={"E": 2.21, "K": (3.6e-9 * PF_DAY) ** 0.10, "gamma": 0.10},
            source="https://arxiv.org/abs/2010.14701, table 1, images of 32x32 pixels",
            count="params_nonembedding",
            verified=True,
        ),
    }

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss; `theta` is ordered as `coefficients`."""
        return power_loss(theta, x["C"])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return power_gradient(theta, x["C"])

    def starts(self, loss: Array, **x: Array) -> Array:
        """Floors and exponents on a grid."""
        return power_starts(loss, x["C"])
