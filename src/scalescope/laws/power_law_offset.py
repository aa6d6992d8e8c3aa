r"""A power law over a floor, or under a ceiling.

.. math:: y(x) = c + a\, x^{b}

With :math:`b < 0` the curve levels off at :math:`c`: from above for :math:`a > 0` (an error that falls to a
floor), from below for :math:`a < 0` (an accuracy that rises to a ceiling).
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register, solve_linear

EXPONENTS = (-2.0, -1.0, -0.6, -0.35, -0.2, -0.1, -0.03, 0.1, 0.3, 0.7, 1.5)


@register
class PowerLawOffset(Law):
    """A power law and a constant; the signs of its scale and exponent are free."""

    name = "power-law-offset"
    title = "One curve as a power law and a constant"
    family = "curves"
    formula = "y(x) = c + a x^b"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        c=Coefficient(meaning="constant; the limit of the curve where b is below zero", example=0.3),
        a=Coefficient(meaning="scale; below zero where the curve rises to a ceiling", example=4.0),
        b=Coefficient(meaning="exponent", example=-0.35, low=-20.0, high=20.0),
    )
    linear = ("c", "a")
    target = "y"
    reference = "https://arxiv.org/abs/1712.00409, section 3"
    caveats = ("The constant is hardly identified by a curve that is far from it.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted ordinate, in its own unit; `theta` is ordered as `coefficients`."""
        c, a, b = theta
        return np.asarray(c + a * x["x"] ** b)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, a, b = theta
        log_x = np.log(x["x"])
        power = np.exp(b * log_x)
        return np.stack(np.broadcast_arrays(np.ones_like(a * power), power, a * power * log_x))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents of either sign; the constant and the scale by least squares."""
        theta = np.tile(self.examples, (len(EXPONENTS), 1))
        theta[:, 2] = EXPONENTS
        theta[:, :2] = solve_linear(self, theta, target, x)
        return theta
