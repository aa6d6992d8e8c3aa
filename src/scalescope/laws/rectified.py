r"""Loss after supervised fine-tuning on D examples, Lin et al. (2024).

.. math:: L(D) = \frac{B}{D_l + D^{\beta}} + E

:math:`D_l` is what pre-training already taught, in the unit of :math:`D^\beta`: it flattens the curve where
data are few, and a power law sets in beyond. Source: https://arxiv.org/abs/2402.02314.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register, solve_linear
from scalescope.laws.terms import stacked


@register
class Rectified(Law):
    """A power law over a floor that is flat below what pre-training is worth."""

    name = "rectified"
    title = "Loss after fine-tuning on D examples, Lin et al. 2024"
    family = "limited-data"
    formula = "L(D) = B/(D_l + D^beta) + E"
    variables = named(
        D=Variable(column="examples", low=1e2, high=1e6, trend=-1, meaning="examples of fine-tuning")
    )
    coefficients = named(
        B=Coefficient(meaning="scale of what finite fine-tuning data cost", example=900.0, positive=True),
        D_l=Coefficient(meaning="what pre-training is worth, as a power of examples", example=300.0, low=0.0),
        beta=Coefficient(meaning="data exponent", example=0.65, positive=True, low=0.01, high=3.0),
        E=Coefficient(meaning="loss that fine-tuning data do not remove", example=1.2, low=0.0, high=20.0),
    )
    linear = ("B", "E")
    reference = "https://arxiv.org/abs/2402.02314"
    caveats = (
        "The loss of the network before any fine-tuning is usually above the curve; leave it out.",
        "One curve a network: B, D_l and E are not tied across sizes.",
        "E is hardly identified while the curve still falls; it often ends at zero.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        B, D_l, beta, E = theta
        return np.asarray(B / (D_l + x["D"] ** beta) + E)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        B, D_l, beta, _ = theta
        power = x["D"] ** beta
        below = 1 / (D_l + power)
        return stacked(below, -B * below**2, -B * below**2 * power * np.log(x["D"]), np.ones_like(below))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents, and D_l as the power of where the curve bends; B and E by least squares."""
        bends = np.quantile(x["D"], (0.0, 0.25, 0.5, 0.75, 1.0))
        grid = [(1.0, b**e, e, 0.0) for b, e in product(bends, (0.05, 0.15, 0.3, 0.6, 1.0))]
        grid += [(1.0, 0.0, e, 0.0) for e in (0.05, 0.15, 0.3, 0.6, 1.0)]
        theta = np.array(grid)
        theta[:, list(self.place(*self.linear))] = solve_linear(self, theta, target, x)
        low, high = self.bounds()
        return np.asarray(np.clip(theta, low, high))
