"""How N and FLOP are counted: several counts, none of them 6 N D, one derived from the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.evidence import Evidence, Rows, rank_correlation
from scalescope.points.columns import SIZES
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.units import format_factor, format_significant

_KNOWN = {
    1 / 6: "N D",
    1 / 3: "2 N D, the forward pass alone",
    2 / 3: "4 N D, the backward pass alone",
    4 / 3: "8 N D, with activations computed twice",
    2.0: "12 N D, with a multiply-add counted twice",
    0.5: "3 N D, with a multiply-add counted once",
}
"""C / (6 N D) to what was then probably counted."""
_FEWEST = 3
"""Rows that it takes to speak of scatter."""
_SCATTER = 1.5
"""Factor between the 5% and the 95% quantile that is no rounding."""
_SANE = 1e3
"""Beyond this factor it is a question of units, which another check asks."""


def about_count(table: Evidence) -> Iterable[Finding]:
    """Tell which of several counts N is, and how far they are apart; or that the only one is not all."""
    runs, present = table.runs, [size for size in SIZES if size in table.runs and size != table.derived]
    if len(present) > 1:
        apart = "; ".join(_apart(runs.size, runs[other], other) for other in present if other != runs.count)
        text = f"The table counts N as {', '.join(present)}; {runs.count} is used ({apart})."
        hint = "Exponents differ between counts; choose one with `count`."
    elif present and present[0] != "params":
        text = f"N counts {runs.count}, the only count in the table."
        hint = "Compare only with results that count the same."
    else:
        return
    yield Finding(code="RUN005", text=text, hint=hint)


def _apart(size: Array, other: Array, name: str) -> str:
    with np.errstate(all="ignore"):
        ratio = other / size
    known = ratio[np.isfinite(ratio)]
    if not known.size:
        return f"{name} is unknown"
    low, high = (format_significant(float(value), 2) for value in (known.min(), known.max()))
    return f"{name} is {low} times that" if low == high else f"{name} is {low} to {high} times that"


def about_derived(table: Evidence) -> Iterable[Finding]:
    """Tell which of size, tokens and compute was computed."""
    if table.derived:
        formula = {"tokens": "C / (6 N)", "compute": "6 N D"}.get(table.derived, "C / (6 D)")
        yield Finding(code="RUN003", text=f"Computed {table.derived} as {formula}; the table has none.")


def six_n_d(table: Evidence) -> tuple[Rows, Array]:
    """Rows that have size, tokens and compute on their own, and C / (6 N D) of them."""
    if table.derived:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    rows, (N, D, C) = table.known("size", "tokens", "compute")
    with np.errstate(all="ignore"):
        ratio = C / N / D / 6
    good = np.isfinite(ratio) & (ratio > 0)
    return rows[good], ratio[good]


def about_factor(table: Evidence) -> Iterable[Finding]:
    """Tell that the compute is a fixed multiple of 6 N D."""
    rows, ratio = six_n_d(table)
    if not len(rows) or (len(rows) >= _FEWEST and _spread(ratio) > _SCATTER):
        return
    median = float(np.median(ratio))
    if 1 / 1.2 < median < 1.2 or not 1 / _SANE < median < _SANE:
        return
    known = next((what for factor, what in _KNOWN.items() if abs(median / factor - 1) < 0.04), "")
    better = _better_count(table)
    guess = f" With {better} as N it is 6 N D." if better else f" That is {known}." if known else ""
    yield Finding(
        code="RUN004",
        text=f"The compute of the table is {format_factor(median)} 6 N D in the median.{guess}",
        hint="Plans use 6 N D; leave out the compute column, or choose the count that multiplies.",
    )


def about_scatter(table: Evidence) -> Iterable[Finding]:
    """Tell that the compute is no fixed multiple of 6 N D."""
    rows, ratio = six_n_d(table)
    if len(rows) < _FEWEST or _spread(ratio) <= _SCATTER:
        return
    low, high = (format_significant(float(value), 2) for value in np.quantile(ratio, [0.05, 0.95]))
    why = ""
    apart = next((name for name, kinds in table.kinds.items() if _explains(np.log(ratio), kinds[rows])), "")
    if apart:
        why = f" The column {apart!r} tells them apart."
    elif abs(rank_correlation(ratio, table.runs.size[rows])) > 0.8:
        why = " It moves with N, as where attention and embeddings are counted in one of them only."
    worst = int(rows[np.argmax(np.abs(np.log(ratio / np.median(ratio))))])
    yield Finding(
        code="RUN009",
        text=f"C / (6 N D) runs from {low} to {high}, farthest off in row {table.label(worst)}.{why}",
        hint="Rows count N or FLOP differently, or a column is off; fit rows of one convention.",
    )


def _spread(ratio: Array) -> float:
    low, high = np.quantile(ratio, [0.05, 0.95])
    return float(high / low)


def _explains(values: Array, kinds: Rows) -> bool:
    """Whether values vary much less within kinds than over all."""
    within = values.copy()
    for kind in np.unique(kinds):
        within[kinds == kind] -= values[kinds == kind].mean()
    return bool(within.std() < values.std() / 2)


def _better_count(table: Evidence) -> str:
    """Another count of the table with which the compute is 6 N D."""
    for name in SIZES:
        if name in table.runs and name != table.runs.count:
            _, (N, D, C) = table.known(name, "tokens", "compute")
            if len(N) and 1 / 1.05 < float(np.median(C / N / D / 6)) < 1.05:
                return name
    return ""
