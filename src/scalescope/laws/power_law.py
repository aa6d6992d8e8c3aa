r"""One power law through a curve.

.. math:: y(x) = a\, x^{b}

Falls for :math:`b < 0` and rises for :math:`b > 0`. Hestness et al. (2017) found it for the error of many
tasks against the number of examples.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, logs_above


@register
class PowerLaw(Law):
    """A straight line in logarithms; a negative exponent falls, a positive one rises."""

    name = "power-law"
    title = "One curve as a power law"
    family = "curves"
    formula = "y(x) = a x^b"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        a=Coefficient(meaning="value at x = 1", example=5.0, positive=True),
        b=Coefficient(
            meaning="exponent; below zero where the curve falls", example=-0.3, low=-20.0, high=20.0
        ),
    )
    target = "y"
    reference = "https://arxiv.org/abs/1712.00409, section 3"
    caveats = ("A curve that levels off, early or late, is no power law; its slope is then an average.",)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted ordinate, in its own unit; `theta` is ordered as `coefficients`."""
        a, b = theta
        return np.asarray(a * x["x"] ** b)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a, b = theta
        log_x = np.log(x["x"])
        power = np.exp(b * log_x)
        return np.stack(np.broadcast_arrays(power, a * power * log_x))

    def starts(self, target: Array, **x: Array) -> Array:
        """Return the straight line through the logarithms."""
        log_y, weights = logs_above(np.zeros(1), target)
        line = fit_lines([np.ones_like(target), np.log(x["x"])], log_y, weights)
        return np.asarray(np.clip(np.column_stack([np.exp(line[:, 0]), line[:, 1]]), *self.bounds()))
