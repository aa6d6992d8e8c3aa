r"""The third form of Alabdulmohsin et al. (2022): a power law that begins late and levels off at a floor.

.. math:: \varepsilon(x) = \beta\, (x^{-1} + \gamma)^{-c}

Below :math:`x = 1/\gamma` it is the power law :math:`\beta x^{c}`, above it stays at
:math:`\beta\gamma^{-c}`.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, logs_above

PLACES = (-1.0, -0.3, 0.2, 0.5, 0.8, 1.1, 1.5)
"""Bends that are tried, as shares of the range of log x."""


@register
class CurveM3(Law):
    """A power law up to a bend, and a constant beyond it."""

    name = "m3"
    title = "One curve, third form of Alabdulmohsin et al. 2022: a bend to a constant"
    family = "curves"
    formula = "eps(x) = beta (1/x + gamma)^-c"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        beta=Coefficient(meaning="scale of the power law before the bend", example=3.0, positive=True),
        gamma=Coefficient(meaning="one over the x of the bend", example=3e-3, positive=True),
        c=Coefficient(meaning="exponent before the bend", example=-0.35, low=-20.0, high=20.0),
    )
    target = "y"
    reference = "https://arxiv.org/abs/2209.06640, section 3"
    caveats = ("How sharply it bends is not free, so that a slow bend is taken for an early one.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error, in its own unit; `theta` is ordered as `coefficients`."""
        beta, gamma, c = theta
        return np.asarray(beta * (1 / x["x"] + gamma) ** -c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        beta, gamma, c = theta
        inside = 1 / x["x"] + gamma
        power = inside**-c
        parts = (power, -c * beta * power / inside, -beta * power * np.log(inside))
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Bends on a grid over and beyond the data; straight lines for the rest."""
        log_x = np.log(x["x"])
        bends = log_x.min() + np.array(PLACES) * (np.ptp(log_x) or 1.0)
        inside = np.log(np.exp(-log_x) + np.exp(-bends)[:, None])
        log_y, weights = (np.broadcast_to(part, inside.shape) for part in logs_above(np.zeros(1), target))
        line = fit_lines([np.ones_like(target), -inside], log_y, weights)
        theta = np.column_stack([np.exp(np.clip(line[:, 0], -200, 200)), np.exp(-bends), line[:, 1]])
        return np.asarray(np.clip(theta, *self.bounds()))
