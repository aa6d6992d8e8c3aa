"""One term of a sum, with its derivatives: the arithmetic that most joint laws share."""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array


def power_term(scale: Array, exponent: Array, x: Array) -> tuple[Array, Array, Array]:
    """Return scale * x**-exponent and its derivatives by scale and exponent, each broadcast to one shape."""
    log_x = np.log(x)
    fall = np.exp(-exponent * log_x)
    return scale * fall, fall, -scale * fall * log_x


def stacked(*parts: Array) -> Array:
    """Broadcast derivatives to one shape and stack them on the first axis."""
    return np.stack(np.broadcast_arrays(*parts))
