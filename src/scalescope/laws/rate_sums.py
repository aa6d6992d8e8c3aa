r"""Sums over the learning rate of training curves, which the laws of whole curves are made of.

A table holds points of curves; between two points the rate is taken to run straight, and from step 0 to the
first point it is taken to hold, so that a curve should start after its warm-up. Then

.. math:: S_1(s) = \sum_{i \le s} \eta_i, \qquad
          m_i = \lambda m_{i-1} + (\eta_{i-1} - \eta_i), \qquad S_2(s) = \sum_{i \le s} m_i

of Tissue et al. (2024, https://arxiv.org/abs/2408.11029, eq. 1) follow in closed form from point to point:
:math:`S_2` exactly for such a rate, :math:`S_1` but for half a step at either end. Points that are dense
where the rate bends give the sums of the true schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.laws.base import Array, Variable, named

MOMENTUM = 0.999
"""The decay of Tissue et al., fixed by convention: curves hardly tell 0.99 from 0.999."""

CURVE_VARIABLES = named(
    curve=Variable(column="curve", low=0.0, high=10.0, logarithmic=False),
    step=Variable(column="step", low=100.0, high=1e5),
    rate=Variable(
        column="learning_rate",
        low=1e-5,
        high=1e-2,
        meaning="learning rate of the schedule at that step",
    ),
)
"""What the laws of whole curves read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Points of curves in the order of their steps, each with what lies between it and the one before."""

    order: npt.NDArray[np.intp]
    """Row of the table for each place, shape (n,)."""
    first: npt.NDArray[np.bool_]
    """Whether a curve starts here."""
    span: Array
    """Steps since the point before, or since step 0."""
    before: Array
    """Rate at the point before."""
    after: Array
    """Rate at this point."""

    @classmethod
    def along(cls, curve: Array, step: Array, rate: Array) -> Walk:
        """Order the rows of a table, each of shape (n,), whatever their order there."""
        order = np.lexsort((step, curve))
        curve, step, rate = curve[order], step[order], rate[order]
        first = np.ones(len(curve), dtype=np.bool_)
        first[1:] = curve[1:] != curve[:-1]
        start = np.where(first, 0.0, np.roll(step, 1))
        before = np.where(first, rate, np.roll(rate, 1))
        return cls(order=order, first=first, span=step - start, before=before, after=rate)

    def summed(self, increments: Array) -> Array:
        """Add increments up along every curve, shape (n,)."""
        total = np.cumsum(increments)
        at = np.flatnonzero(self.first)
        offset = total[at] - increments[at]
        return np.asarray(total - np.repeat(offset, np.diff([*at, len(total)])))

    def rate_sum(self) -> Array:
        """S1 at every place, shape (n,)."""
        return self.summed(self.span * (self.before + self.after) / 2)

    def restored(self, values: Array) -> Array:
        """Put values by place back into the order of the table."""
        out = np.empty_like(values)
        out[..., self.order] = values
        return out


def annealing_sums(curve: Array, step: Array, rate: Array, momentum: float = MOMENTUM) -> tuple[Array, Array]:
    """Return S1 and S2 at the points of training curves.

    Parameters
    ----------
    curve, step, rate
        Number of the curve, optimiser step and learning rate, shape (n,), in any order of rows.
    momentum
        The decay of m a step, below one.

    Returns
    -------
    tuple
        S1 and S2, each of shape (n,), in the unit of the rate.
    """
    walk = Walk.along(curve, step, rate)
    kept = momentum**walk.span
    powers = (1 - kept) / (1 - momentum)
    fall = walk.before - walk.after
    a_step = np.where(walk.span > 0, fall / np.maximum(walk.span, 1e-300), 0.0)
    gained = np.where(walk.span > 0, a_step * powers, fall)
    m = _carried(np.where(walk.first, 0.0, kept), gained)
    m_before = np.where(walk.first, 0.0, np.roll(m, 1))
    area = m_before * momentum * powers + a_step / (1 - momentum) * (walk.span - momentum * powers)
    return walk.restored(walk.rate_sum()), walk.restored(walk.summed(area))


def _carried(kept: Array, gained: Array) -> Array:
    """Solve m_k = kept_k m_(k-1) + gained_k for all k, in as many passes as a curve has binary digits."""
    share, m, shift = kept.copy(), gained.copy(), 1
    while shift < len(m) and share[shift:].any():
        m[shift:] += share[shift:] * m[:-shift].copy()
        share[shift:] = share[shift:] * share[:-shift]
        share[:shift] = 0.0
        shift *= 2
    return m


def curve_design(n: int) -> dict[str, Array]:
    """Points of four curves: a constant rate, a straight fall, a cosine and steps down at different rates."""
    count = max(n // 4, 8)
    step = np.geomspace(400.0, 2e4, count)
    share = step / step[-1]
    shapes = (
        np.full(count, 1e-3),
        2e-3 * (1 - 0.98 * share),
        5e-4 * (0.55 + 0.45 * np.cos(np.pi * share)),
        np.select([share < 0.1, share < 0.4], [3e-3, 1e-3], 1e-4),
    )
    return {
        "curve": np.repeat(np.arange(4.0), count),
        "step": np.tile(step, 4),
        "rate": np.concatenate(shapes),
    }
