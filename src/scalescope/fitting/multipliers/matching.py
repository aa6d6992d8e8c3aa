r"""The second estimate: pairs of equal settings, without a law for the variant.

A variant at some rung and horizon has the loss :math:`L_v`, the baseline there :math:`L_b`. On its surface
the baseline, grown from that setting along its own best path (:math:`N \propto C^{\beta/(\alpha+p\beta)}`),
falls as
:math:`E + (L_b - E)(C/C_b)^{-\gamma}` exactly, so that its local slope is :math:`-\gamma (L_b - E)` and it
reaches :math:`L_v` at

.. math:: \ln m = \ln\frac{C_b}{C_v} + \frac{1}{\gamma} \ln\frac{L_b - E}{L_v - E} .

Only E and gamma of the baseline come from a fit. A line through :math:`\ln m` against :math:`\ln C` gives the
estimate at a budget; each pair weighs with the inverse variance that equal relative noise of the losses
gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.clusters import Labels
from scalescope.fitting.multipliers.family import Index
from scalescope.fitting.multipliers.frontiers import Frontiers
from scalescope.fitting.multipliers.pooled import Pooled
from scalescope.points import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Rows of a variant and rows of the baseline at the same setting and seed."""

    theirs: Index
    """Rows of the variant, shape (n_pairs,)."""
    mine: Index
    """Rows of the baseline."""
    cells: Labels
    """Setting of every pair, numbered in the order of rung and horizon."""

    def __len__(self) -> int:
        return len(self.theirs)


def match(pooled: Pooled, variant: int) -> Matched:
    """Pair a variant's rows with the baseline's at the same rung and horizon.

    By seed where the two have common ones, and rows of other seeds are left out; else in their order.
    """
    theirs, mine, cells = [], [], []
    base, own = pooled.of(0), pooled.of(variant)
    keys = joined_keys(pooled)
    for number, key in enumerate(sorted({keys[i] for i in own} & {keys[i] for i in base})):
        b = [i for i in base if keys[i] == key]
        v = [i for i in own if keys[i] == key]
        seeds = {pooled.seed[i]: i for i in b}
        pairs = [(i, seeds[pooled.seed[i]]) for i in v if pooled.seed[i] in seeds]
        for i, j in pairs or list(zip(v, b, strict=False)):
            theirs.append(i)
            mine.append(j)
            cells.append(number)
    return Matched(
        theirs=np.array(theirs, dtype=np.intp),
        mine=np.array(mine, dtype=np.intp),
        cells=np.array(cells, dtype=np.intp),
    )


def joined_keys(pooled: Pooled) -> list[tuple[int, int]]:
    """Rung and horizon of every row; no two variants share one where rungs do not match."""
    if pooled.rungs_match:
        return list(zip(pooled.rung.tolist(), pooled.horizon.tolist(), strict=True))
    return [(-1 - int(v), i) for i, v in enumerate(pooled.variant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """ln m against ln C through the pairs of a variant, shape (batch,) each."""

    middle: Array
    """Weighted mean of ln m."""
    slope: Array
    centre: Array
    """ln C of the mean."""
    each: Array
    """ln m of every pair, shape (batch, n_pairs)."""

    def at(self, compute: Array) -> Array:
        """Value at each compute, shape (batch, len(compute))."""
        off = np.log(compute) - self.centre[:, None]
        return np.asarray(self.middle[:, None] + self.slope[:, None] * off)


def line_through(pooled: Pooled, matched: Matched, frontiers: Frontiers, log_losses: Array) -> Line:
    """Draw the line for every set of losses (batch, n), each with its own E and gamma of the baseline."""
    loss_v, loss_b = np.exp(log_losses[:, matched.theirs]), np.exp(log_losses[:, matched.mine])
    floor, gamma = frontiers.floor[:, [0]], frontiers.exponent[:, [0]]
    log_c = np.log(pooled.compute)
    with np.errstate(all="ignore"):
        each = (
            log_c[matched.mine] - log_c[matched.theirs] + np.log((loss_b - floor) / (loss_v - floor)) / gamma
        )
        # Noise of ln m for equal relative noise of the losses: its inverse square is the weight.
        weight = ((loss_b - floor) * gamma / loss_b) ** 2
    good = np.isfinite(each) & np.isfinite(weight)
    weight = np.where(good, weight, 0.0)
    each = np.where(good, each, 0.0)
    whole = np.maximum(weight.sum(axis=1), 1e-300)
    at = np.broadcast_to(log_c[matched.theirs], each.shape)
    centre = (weight * at).sum(axis=1) / whole
    middle = (weight * each).sum(axis=1) / whole
    off = at - centre[:, None]
    spread = (weight * off**2).sum(axis=1)
    with np.errstate(all="ignore"):
        slope = np.where(spread > 0, (weight * off * each).sum(axis=1) / spread, 0.0)
    return Line(middle=middle, slope=slope, centre=centre, each=np.where(good, each, np.nan))
