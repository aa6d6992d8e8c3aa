r"""The surface behind "approach 2" of Hoffmann et al. (2022): a parabola in log size at every compute.

.. math:: L(N, C) = E + K C^{-\gamma} + \kappa\,(\ln N - \ln G - a \ln C)^2

so that :math:`N^*(C) = G C^a` and :math:`L^*(C) = E + K C^{-\gamma}`. The same curvature at every budget is
what makes it one surface; each budget's own parabola is kept beside it in the fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import ClassVar

import numpy as np

from scalescope.laws.base import Array, Published, register
from scalescope.laws.powers import power_gradient, power_loss, power_starts


@register
class Isoflop:
    """A power law over a floor along the best sizes, and a parabola in log size across them."""

    name: ClassVar[str] = "isoflop"
    title: ClassVar[str] = "Loss from size and compute by parabolas, Hoffmann et al. 2022"
    question: ClassVar[str] = "Which size is best for a compute budget?"
    formula: ClassVar[str] = "L(N, C) = E + K/C^gamma + kappa (ln N - ln G - a ln C)^2"
    variables: ClassVar[tuple[str, ...]] = ("N", "C")
    coefficients: ClassVar[tuple[str, ...]] = ("E", "K", "gamma", "G", "a", "kappa")
    positive: ClassVar[frozenset[str]] = frozenset({"K", "gamma", "G", "kappa"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "E": (0.0, 20.0),
        "gamma": (0.005, 2.0),
        "a": (-1.0, 2.0),
    }
    reference: ClassVar[str] = "https://arxiv.org/abs/2203.15556, section 3.2"
    caveats: ClassVar[tuple[str, ...]] = (
        "A parabola is only local: sizes more than about 4x off the optimum are not described.",
        "Where size and data fall with different exponents, the vertex is biased, more so on wide grids.",
    )
    published: ClassVar[Mapping[str, Published]] = {}

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss; `theta` is ordered as `coefficients`."""
        G, a, kappa = theta[3:]
        off = np.log(x["N"]) - np.log(G) - a * np.log(x["C"])
        return np.asarray(power_loss(theta[:3], x["C"]) + kappa * off**2)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        G, a, kappa = theta[3:]
        log_C = np.log(x["C"])
        off = np.log(x["N"]) - np.log(G) - a * log_C
        valley = (-2 * kappa * off / G, -2 * kappa * off * log_C, off**2)
        return np.stack(np.broadcast_arrays(*power_gradient(theta[:3], x["C"]), *valley))

    def starts(self, loss: Array, **x: Array) -> Array:
        """Starts of L(C), with the optimum through the median run at three size exponents."""
        size, compute = np.median(x["N"]), np.median(x["C"])
        along = power_starts(loss, x["C"])
        rows = [
            (*start, size / compute**a, a, 0.05 * np.median(loss))
            for start, a in product(along, (0.3, 0.5, 0.7))
        ]
        return np.array(rows)
