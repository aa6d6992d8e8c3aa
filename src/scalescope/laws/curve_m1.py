r"""The first of four forms that Alabdulmohsin et al. (2022) compare: a power law.

.. math:: \varepsilon(x) = \beta\, x^{c}
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, logs_above


@register
class CurveM1(Law):
    """A power law, under the letters of the comparison that it belongs to."""

    name = "m1"
    title = "One curve, first form of Alabdulmohsin et al. 2022: a power law"
    family = "curves"
    formula = "eps(x) = beta x^c"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        beta=Coefficient(meaning="error at x = 1", example=3.0, positive=True),
        c=Coefficient(meaning="exponent", example=-0.25, low=-20.0, high=20.0),
    )
    target = "y"
    reference = "https://arxiv.org/abs/2209.06640, section 3"
    caveats = ("It extrapolated worst of the four on that paper's curves.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error, in its own unit; `theta` is ordered as `coefficients`."""
        beta, c = theta
        return np.asarray(beta * x["x"] ** c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        beta, c = theta
        log_x = np.log(x["x"])
        power = np.exp(c * log_x)
        return np.stack(np.broadcast_arrays(power, beta * power * log_x))

    def starts(self, target: Array, **x: Array) -> Array:
        """Return the straight line through the logarithms."""
        log_y, weights = logs_above(np.zeros(1), target)
        line = fit_lines([np.ones_like(target), np.log(x["x"])], log_y, weights)
        return np.asarray(np.clip(np.column_stack([np.exp(line[:, 0]), line[:, 1]]), *self.bounds()))
