r"""The expert count that saturates, of Clark et al. (2022), eq. 1; laws of routed networks share it.

.. math:: \frac1{\hat E} = \frac1{E - 1 + \left(\frac1{E_{start}} - \frac1{E_{max}}\right)^{-1}}
          + \frac1{E_{max}}

A dense network (:math:`E = 1`) counts as :math:`E_{start}`, and no number of experts counts as more than
:math:`E_{max}`. Source: https://arxiv.org/abs/2202.01169.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array


def saturated(E: Array, start: Array, most: Array) -> Array:
    """Return the saturated expert count, between `start` and `most`; `start` must be below `most`."""
    offset = 1 / (1 / start - 1 / most)
    return np.asarray(1 / (1 / (E - 1 + offset) + 1 / most))


def saturated_slopes(E: Array, start: Array, most: Array) -> tuple[Array, Array]:
    """Derivatives of the logarithm of the saturated count by `start` and by `most`."""
    offset = 1 / (1 / start - 1 / most)
    count = saturated(E, start, most)
    share = (offset / (E - 1 + offset)) ** 2
    return count * share / start**2, count * (1 - share) / most**2
