r"""The surface behind "approach 2" of Hoffmann et al. (2022): a parabola in log size at every compute.

.. math:: L(N, C) = E + K C^{-\gamma} + \kappa\,(\ln N - \ln G - a \ln C)^2

so that :math:`N^*(C) = G C^a` and :math:`L^*(C) = E + K C^{-\gamma}`. The same curvature at every budget is
what makes it one surface; each budget's own parabola is kept beside it in the fit.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.powers import power_gradient, power_starts, power_value


@register
class Isoflop(Law):
    """A power law over a floor along the best sizes, and a parabola in log size across them."""

    name = "isoflop"
    title = "Loss from size and compute by parabolas, Hoffmann et al. 2022"
    family = "allocation"
    formula = "L(N, C) = E + K/C^gamma + kappa (ln N - ln G - a ln C)^2"
    variables = named(
        N=Variable(column="params", low=1e4, high=1e7),
        C=Variable(column="compute", low=1e11, high=1e15),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=0.6, low=0.0, high=20.0),
        K=Coefficient(meaning="scale of the falling part", example=72.0, positive=True),
        gamma=Coefficient(
            meaning="compute exponent of the loss", example=0.16, positive=True, low=0.005, high=2.0
        ),
        G=Coefficient(meaning="best size at one FLOP", example=0.042, positive=True),
        a=Coefficient(meaning="compute exponent of the best size", example=0.52, low=-1.0, high=2.0),
        kappa=Coefficient(meaning="curvature across sizes", example=0.07, positive=True),
    )
    reference = "https://arxiv.org/abs/2203.15556, section 3.2"
    caveats = (
        "A parabola is only local: sizes more than about 4x off the optimum are not described.",
        "Where size and data fall with different exponents, the vertex is biased, more so on wide grids.",
        "No coefficients are shipped: papers print size-allocation and loss-compute but not the curvature.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        G, a, kappa = theta[3:]
        off = np.log(x["N"]) - np.log(G) - a * np.log(x["C"])
        return np.asarray(power_value(theta[:3], x["C"]) + kappa * off**2)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        G, a, kappa = theta[3:]
        log_C = np.log(x["C"])
        off = np.log(x["N"]) - np.log(G) - a * log_C
        valley = (-2 * kappa * off / G, -2 * kappa * off * log_C, off**2)
        return np.stack(np.broadcast_arrays(*power_gradient(theta[:3], x["C"]), *valley))

    def starts(self, target: Array, **x: Array) -> Array:
        """Starts of L(C), with the optimum through the median run at three size exponents."""
        size, compute = np.median(x["N"]), np.median(x["C"])
        along = power_starts(target, x["C"])
        rows = [
            (*start, size / compute**a, a, 0.05 * np.median(target))
            for start, a in product(along, (0.3, 0.5, 0.7))
        ]
        return np.array(rows)
