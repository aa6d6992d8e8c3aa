"""One falling power law over a floor: the arithmetic and the starts that several laws share."""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array

EXPONENTS = (0.05, 0.15, 0.3, 0.6, 1.0)
FLOORS = (0.0, 0.3, 0.6, 0.9)


def power_value(theta: Array, x: Array) -> Array:
    """Return floor + scale * x**-exponent for `theta` of (floor, scale, exponent)."""
    floor, scale, exponent = theta
    return np.asarray(floor + scale * x**-exponent)


def power_gradient(theta: Array, x: Array) -> Array:
    """Derivative by floor, scale and exponent, stacked first."""
    _, scale, exponent = theta
    log_x = np.log(x)
    fall = np.exp(-exponent * log_x)
    return np.stack(np.broadcast_arrays(np.ones_like(scale * fall), fall, -scale * fall * log_x))


def power_starts(target: Array, x: Array) -> Array:
    """Floors and exponents on a grid; the scale is what the floor leaves at the median run."""
    middle, lowest = float(np.median(x)), float(target.min())
    rows = []
    for share, exponent in product(FLOORS, EXPONENTS):
        above = max(float(np.median(target)) - share * lowest, 1e-3 * lowest)
        rows.append((share * lowest, above * middle**exponent, exponent))
    return np.array(rows)
