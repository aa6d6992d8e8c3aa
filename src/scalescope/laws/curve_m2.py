r"""The second form of Alabdulmohsin et al. (2022): a power law over an error that never goes away.

.. math:: \varepsilon(x) - \varepsilon_\infty = \beta\, x^{c}
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, floors_below, logs_above


@register
class CurveM2(Law):
    """A power law over a floor that is not below zero."""

    name = "m2"
    title = "One curve, second form of Alabdulmohsin et al. 2022: a floor"
    family = "curves"
    formula = "eps(x) = eps_inf + beta x^c"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        eps_inf=Coefficient(meaning="error that no x removes", example=0.2, low=0.0),
        beta=Coefficient(meaning="error above the floor at x = 1", example=3.0, positive=True),
        c=Coefficient(meaning="exponent", example=-0.4, low=-20.0, high=20.0),
    )
    linear = ("eps_inf", "beta")
    target = "y"
    reference = "https://arxiv.org/abs/2209.06640, section 3"
    caveats = ("A floor far below the data is not identified, and one near them is often taken too high.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error, in its own unit; `theta` is ordered as `coefficients`."""
        floor, beta, c = theta
        return np.asarray(floor + beta * x["x"] ** c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, beta, c = theta
        log_x = np.log(x["x"])
        power = np.exp(c * log_x)
        return np.stack(np.broadcast_arrays(np.ones_like(beta * power), power, beta * power * log_x))

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors on a grid; straight lines through what is above them."""
        floors = floors_below(target)
        line = fit_lines([np.ones_like(target), np.log(x["x"])], *logs_above(floors, target))
        return np.asarray(np.clip(np.column_stack([floors, np.exp(line[:, 0]), line[:, 1]]), *self.bounds()))
