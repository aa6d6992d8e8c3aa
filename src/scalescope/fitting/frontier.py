"""Which runs a law may use: the laws of one factor are about runs where the other does not bind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scalescope.fitting.budgets import budget_groups, gap_clusters
from scalescope.laws import get_law
from scalescope.points import Array, Runs

BINS_PER_DECADE = 6
"""How finely token counts are binned where they do not repeat."""


def used_by(runs: Runs, law: str) -> npt.NDArray[np.bool_]:
    """Which of the runs a fit of `law` uses, shape (n_runs,); held-out ones never.

    Laws in two variables use all. A law of one factor uses the lower envelope: the best loss at each size
    (`loss-size`), at each token count or bin of a sixth of a decade (`loss-data`), at each budget, or along
    the lower convex hull of log loss against log compute where there are no budgets (`loss-compute`). Of
    these only the ones that improve on every cheaper one stay: a size whose best loss is above that of a
    smaller size was starved of data. On an IsoFLOP grid the law then describes the frontier of the runs at
    hand, not the limit of infinite data, and its fit says so.
    """
    free = np.flatnonzero(~runs.held_out)
    form = get_law(law)
    if form.family != "one-factor":
        chosen = free
    else:
        own = runs.select(~runs.held_out)
        chosen = free[_frontier(own, next(iter(form.variables)))] if free.size else free
    mask = np.zeros(len(runs), dtype=np.bool_)
    mask[chosen] = True
    return mask


def _frontier(runs: Runs, variable: str) -> npt.NDArray[np.intp]:
    """Rows of the lower envelope against one variable, cheapest first."""
    if variable == "C":
        groups = [group.rows for group in budget_groups(runs)]
        if "budget" not in runs and not 3 <= len(groups) <= len(runs) // 3:
            return falling_hull(np.log(runs.compute), np.log(runs.loss))
        return _improving(groups, runs.compute, runs.loss)
    if variable == "N":
        return _improving(gap_clusters(runs.size, gap=1e-3), runs.size, runs.loss)
    repeated = gap_clusters(runs.tokens, gap=0.02)
    if len(repeated) > len(runs) // 2:
        bins = np.floor(np.log10(runs.tokens) * BINS_PER_DECADE)
        repeated = [np.flatnonzero(bins == index) for index in np.unique(bins)]
    return _improving(repeated, runs.tokens, runs.loss)


def _improving(groups: list[npt.NDArray[np.intp]], x: Array, loss: Array) -> npt.NDArray[np.intp]:
    """The best row of each group, where it is better than the best of every group before it."""
    best = np.array([rows[np.argmin(loss[rows])] for rows in groups])
    best = best[np.argsort(x[best], kind="stable")]
    lowest = np.minimum.accumulate(loss[best])
    better = np.concatenate([[True], loss[best][1:] < lowest[:-1]])
    return np.asarray(best[better])


def falling_hull(x: Array, y: Array) -> npt.NDArray[np.intp]:
    """Return the rows of the falling part of the lower convex hull, left to right."""
    hull: list[int] = []
    for row in np.lexsort((y, x)):
        while len(hull) > 1 and _turns_up(x, y, hull[-2], hull[-1], row):
            hull.pop()
        hull.append(int(row))
    falling = hull[: int(np.argmin(y[hull])) + 1]
    return np.array(falling)


def _turns_up(x: Array, y: Array, a: int, b: int, c: int) -> bool:
    """Whether b lies on or above the line from a to c."""
    return bool((x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a]) <= 0)
