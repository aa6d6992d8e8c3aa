r"""Products of powers: what laws of allocation and of settings share.

.. math:: y = k \prod_i x_i^{e_i}

The logarithm is linear in the exponents and in :math:`\log k`, so least squares of logarithms is a start
from which any of the penalties is a convex problem.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Law


class PowerProduct(Law):
    """One scale, and one exponent for each variable in their order."""

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted target in the unit of its column."""
        return np.asarray(theta[0] * self._product(theta, x))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        product = self._product(theta, x)
        slopes = [theta[0] * product * np.log(x[name]) for name in self.variables]
        return np.stack(np.broadcast_arrays(product, *slopes))

    def starts(self, target: Array, **x: Array) -> Array:
        """Least squares of the logarithms, and exponents a fifth to either side of it."""
        logs = np.stack([np.log(x[name]) for name in self.variables], axis=1)
        middle = logs.mean(axis=0)
        log_target = np.log(target)
        found = np.linalg.lstsq(logs - middle, log_target - log_target.mean(), rcond=None)[0]
        low, high = self.bounds()
        exponents = np.clip(found + 0.2 * np.array([[0.0], [-1.0], [1.0]]), low[1:], high[1:])
        scales = np.exp(log_target.mean() - exponents @ middle)
        return np.column_stack([scales, exponents])

    def _product(self, theta: Array, x: dict[str, Array]) -> Array:
        total: Array = np.zeros(())
        for exponent, name in zip(theta[1:], self.variables, strict=True):
            total = total + exponent * np.log(x[name])
        return np.asarray(np.exp(total))
