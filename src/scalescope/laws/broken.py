r"""The broken neural scaling law of Caballero et al. (2022): power laws that pass smoothly into each other.

.. math:: y(x) = a + b\, x^{-c_0} \prod_{i=1}^{n} \left(1 + (x/d_i)^{1/f_i}\right)^{-c_i f_i}

Below the first break the exponent is :math:`-c_0`, behind the i-th it is :math:`-(c_0 + \dots + c_i)`;
:math:`d_i` is where a break lies, and :math:`f_i` how many e-foldings of x it is wide.
"""

from __future__ import annotations

from itertools import combinations, product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, floors_below, logs_above

PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Breaks that are tried, as shares of the range of log x."""
WIDTHS = (0.1, 0.5, 1.6)
MOST = 9


_HEAD = named(
    a=Coefficient(meaning="level that the last power law falls to", example=0.15, low=0.0),
    b=Coefficient(meaning="scale of the first power law", example=3.0, positive=True),
    c0=Coefficient(meaning="exponent before the first break; below zero where it rises", example=0.15),
)


def _breaks(index: int, n_breaks: int) -> dict[str, Coefficient]:
    """Coefficients of one break; the examples spread evenly over the typical range."""
    place = 1e4 ** ((index + 1) / (n_breaks + 1))
    return {
        "c": Coefficient(meaning="what the break adds to the exponent", example=0.5 * (-1) ** index),
        "d": Coefficient(meaning="where the break lies", example=place, positive=True),
        "f": Coefficient(
            meaning="e-foldings of x that the break is wide",
            example=0.6 / n_breaks,
            positive=True,
            low=1e-2,
            high=20.0,
        ),
    }


@register
class Broken(Law):
    """Power laws joined by smooth breaks over a floor; `broken-2` has two breaks."""

    name = "broken"
    title = "One curve as power laws with breaks, Caballero et al. 2022"
    family = "curves"
    formula = "y(x) = a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1) ..."
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    target = "y"
    reference = "https://arxiv.org/abs/2210.14891, eq. 1"
    caveats = (
        "A break beyond the data cannot be seen in them.",
        "A floor and a last break that flattens the curve explain each other.",
    )

    def __init__(self, n_breaks: int = 1) -> None:
        self.n_breaks = n_breaks
        if n_breaks != 1:
            self.name = f"broken-{n_breaks}"
        self.coefficients = MappingProxyType(
            dict(_HEAD) | {f"{k}{i + 1}": v for i in range(n_breaks) for k, v in _breaks(i, n_breaks).items()}
        )

    def sized(self, number: int) -> Law:
        """Return the law with so many breaks; it has 3 n + 3 coefficients.

        Raises
        ------
        InputError
            If there are more than nine.
        """
        return super().sized(number) if number > MOST else Broken(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted ordinate, in its own unit; `theta` is ordered as `coefficients`."""
        return np.asarray(theta[0] + self._power(theta, np.log(x["x"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        log_x = np.log(x["x"])
        power = self._power(theta, log_x)
        parts = [np.ones_like(power), power / theta[1], -power * log_x]
        for c, d, f in _triples(theta):
            z = (log_x - np.log(d)) / f
            bend, past = _softplus(z), np.exp(-_softplus(-z))
            parts += [-power * f * bend, power * c * past / d, -power * c * (bend - z * past)]
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Floors, breaks and their widths on a grid; straight lines for scale and exponents."""
        log_x = np.log(x["x"])
        span = float(np.ptp(log_x)) or 1.0
        chosen = PLACES if self.n_breaks == 1 else (0.15, 0.5, 0.85, *np.linspace(0.2, 0.8, self.n_breaks))
        places = list(combinations(sorted(set(chosen)), self.n_breaks))[:40]
        floors = floors_below(target, (0.0, 0.5, 0.9))
        rows = [(floor, *at, width) for floor, at, width in product(floors, places, WIDTHS)]
        floor, *at, width = np.array(rows).T
        at = [log_x.min() + share * span for share in at]
        bends = [-width[:, None] * _softplus((log_x - d[:, None]) / width[:, None]) for d in at]
        line = fit_lines([np.ones_like(log_x), -log_x, *bends], *logs_above(floor, target))
        columns = [floor, np.exp(np.clip(line[:, 0], -200, 200)), line[:, 1]]
        for i, d in enumerate(at):
            columns += [line[:, 2 + i], np.exp(d), width]
        return np.asarray(np.clip(np.column_stack(columns), *self.bounds()))

    def _power(self, theta: Array, log_x: Array) -> Array:
        """Everything but the floor, through its logarithm."""
        log_power = np.log(theta[1]) - theta[2] * log_x
        for c, d, f in _triples(theta):
            log_power = log_power - c * f * _softplus((log_x - np.log(d)) / f)
        return np.asarray(np.exp(log_power))


def _triples(theta: Array) -> list[tuple[Array, Array, Array]]:
    return [(theta[i], theta[i + 1], theta[i + 2]) for i in range(3, len(theta), 3)]


def _softplus(z: Array) -> Array:
    """log(1 + exp z) without overflow, for complex numbers too."""
    up = z.real > 0
    return np.asarray(np.where(up, z, 0) + np.log1p(np.exp(np.where(up, -z, z))))
