r"""The logistic curve that several laws share: :math:`floor + (ceiling - floor)\,\sigma(u)`."""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array


def logistic(u: Array) -> Array:
    """Return 1 / (1 + exp(-u)) without overflow at either end."""
    return np.asarray(0.5 + 0.5 * np.tanh(u / 2))


def logistic_slope(u: Array) -> Array:
    """Derivative of `logistic`."""
    return np.asarray(0.25 / np.cosh(np.clip(u, -700.0, 700.0) / 2) ** 2)
