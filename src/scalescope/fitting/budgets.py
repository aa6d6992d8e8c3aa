"""Runs grouped by compute: the budgets of an IsoFLOP grid, found by column or by the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.points import Array, Runs

GAP = np.log(1.15)
"""Computes further apart than this are different budgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The runs of one budget."""

    compute: float
    """FLOP."""
    rows: npt.NDArray[np.intp]
    """Index of each run, shape (n,)."""


def budget_groups(runs: Runs) -> tuple[Group, ...]:
    """Group by the column `budget`, or by gaps of 15% in compute where there is none; cheapest first.

    The column only says what belongs together. The compute of a group is the geometric mean of its runs'
    compute, or the nominal budget where the two are within 2%.
    """
    nominal = runs["budget"] if "budget" in runs else np.full(len(runs), np.nan)
    if np.isnan(nominal).any():
        return tuple(
            Group(compute=_middle(runs.compute[rows]), rows=rows) for rows in gap_clusters(runs.compute)
        )
    groups = []
    for budget in np.unique(nominal):
        rows = np.flatnonzero(nominal == budget)
        actual = _middle(runs.compute[rows])
        groups.append(Group(compute=budget if abs(np.log(actual / budget)) < 0.02 else actual, rows=rows))
    return tuple(sorted(groups, key=lambda group: group.compute))


def compute_rungs(runs: Runs, *, ratio: float = 3.0, most: int = 12) -> tuple[Group, ...]:
    """Group for hold-outs: the budgets, or bins of a factor `ratio` where compute is spread evenly."""
    groups = budget_groups(runs)
    if "budget" in runs or 3 <= len(groups) <= most:
        return groups
    log_C = np.log(runs.compute)
    # Counted from the dearest run, so that the last bin is a full one.
    bins = np.floor((log_C.max() - log_C) / np.log(ratio) + 1e-9)
    rungs = [np.flatnonzero(bins == index) for index in np.unique(bins)[::-1]]
    return tuple(Group(compute=_middle(runs.compute[rows]), rows=rows) for rows in rungs)


def gap_clusters(values: Array, gap: float = GAP) -> list[npt.NDArray[np.intp]]:
    """Row indices of values that follow each other without a gap in their logarithm, lowest values first."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(np.log(values[order]))
    return [np.sort(rows) for rows in np.split(order, np.flatnonzero(steps > gap) + 1)]


def _middle(values: Array) -> float:
    return float(np.exp(np.mean(np.log(values))))
