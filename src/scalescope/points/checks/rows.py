"""Single rows: exact copies, near copies, rows far off what their neighbours say."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.evidence import Evidence, Rows
from scalescope.points.checks.surface import surface_of
from scalescope.points.columns import OUTCOMES
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.units import format_percent

_FAR = 8.0
"""Robust standard deviations off a smooth surface that make a row an outlier."""
_LEAST_OFF = 0.02
"""Share of the loss below which a row is not worth naming."""
_LEAST_GROUPS = 0.01
"""Robust spread of log loss below which groups do not matter."""


_MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number of mixed bits, to make one mark of the bits of a row."""


def about_repeats(table: Evidence) -> Iterable[Finding]:
    """Tell rows that repeat others in everything that was measured."""
    rows = _repeats(table)
    if rows.size:
        yield Finding(
            code="RUN006",
            text=f"{rows.size} of {len(table.runs)} rows repeat another: {table.labels(rows)}.",
            hint="Repeated rows make intervals too narrow.",
        )


def _repeats(table: Evidence) -> Rows:
    """Rows that equal an earlier one; tables that do not say what was measured have none."""
    names = table.setting_columns
    if not any(name in OUTCOMES for name in names):
        return np.zeros(0, dtype=np.intp)
    keys = [np.nan_to_num(table.runs[name], nan=-1.0) for name in names]
    keys += [kinds.astype(np.float64) for _, kinds in table.kinds.items()]
    keys += [column for name, column in table.numbers_in_rest() if np.unique(column).size <= len(column) // 2]
    marks = np.zeros(len(table.runs), dtype=np.uint64)
    for key in keys:
        marks = marks * _MIX ^ (key + 0.0).view(np.uint64)
    _, which, how_often = np.unique(marks, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(how_often[which.reshape(-1)] > 1)
    order = rows[np.lexsort([key[rows] for key in keys])]
    same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    return np.sort(order[1:][same])


def about_near_repeats(table: Evidence) -> Iterable[Finding]:
    """Tell pairs of rows that differ by less than two runs can: one run read or rounded twice."""
    pairs = _near_repeats(table)
    if pairs:
        shown = ", ".join(f"{table.label(a)} and {table.label(b)}" for a, b in pairs[:5])
        more = f" and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
        yield Finding(
            code="RUN019",
            text=f"Rows are nearly the same: {shown}{more}.",
            hint="If it is one run that was rounded or read twice, keep one of the rows.",
        )


def _near_repeats(table: Evidence) -> list[tuple[int, int]]:
    """Pairs alike to 0.1% in size and tokens and to 1e-5 in loss, but not equal in all of them."""
    if not table.has("size", "tokens", "loss") or table.has("step") or table.has("curve"):
        return []
    if len(table.runs) > 20_000:
        return []
    with np.errstate(all="ignore"):
        values = np.log(np.stack([table.runs.size, table.runs.tokens, table.runs.loss]))
    limits = np.array([1e-3, 1e-3, 1e-5])
    order = np.argsort(values[2], kind="stable")
    sorted_values = values[:, order]
    others = [table.runs[name] for name in table.setting_columns if name not in ("tokens", "loss", "compute")]
    others = [column for column in others if column is not table.runs.size]
    found: list[tuple[int, int]] = []
    for step in (1, 2, 3):
        near = (np.abs(sorted_values[:, step:] - sorted_values[:, :-step]) <= limits[:, None]).all(axis=0)
        near &= (sorted_values[:, step:] != sorted_values[:, :-step]).any(axis=0)
        for at in np.flatnonzero(near):
            a, b = sorted((int(order[at]), int(order[at + step])))
            if all(_alike(float(column[a]), float(column[b])) for column in others):
                found.append((a, b))
    return sorted(found)


def _alike(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other)) or abs(one - other) <= 1e-3 * abs(one)


_FACTOR = np.log(1000.0)
"""Distance in log loss from which it is no longer told in percent."""


def about_outliers(table: Evidence) -> Iterable[Finding]:
    """Tell rows far off a smooth surface through the others."""
    surface = surface_of(table)
    if surface is None or surface.sd <= 1e-12:
        return
    off = np.abs(surface.residuals)
    candidates = np.flatnonzero((off > _FAR * surface.sd) & (off > _LEAST_OFF))
    # Where many rows are far, the surface and not the rows is wrong.
    if candidates.size > max(2.0, 0.05 * len(off)):
        return
    # At an edge the surface may bend away from all rows alike; only what the nearest do not share counts.
    apart = {
        int(row): surface.off_neighbours(int(row)) for row in candidates if not surface.in_corner(int(row))
    }
    apart = {row: by for row, by in apart.items() if abs(by) > max(_FAR * surface.sd, _LEAST_OFF)}
    if not apart:
        return
    far = sorted(apart, key=lambda row: -abs(apart[row]))
    off_by = apart[far[0]]
    # Beyond this a percentage has more digits than meaning.
    by = format_percent(float(np.expm1(off_by))) if off_by < _FACTOR else f"a factor of e^{off_by:.0f}"
    yield Finding(
        code="RUN020",
        text=f"The loss is far off its neighbours in {table.labels(surface.rows[far])}, by {by} at most.",
        hint="Look at these runs; fit with and without them to see how much they matter.",
    )


def about_groups(table: Evidence) -> Iterable[Finding]:
    """Tell groups of rows, named by a column of text, that follow different laws."""
    surface = surface_of(table)
    if surface is None or surface.sd < _LEAST_GROUPS:
        return
    kinds = {name: own[surface.rows] for name, own in table.kinds.items()}
    groups: dict[tuple[str, ...], Rows] = {(name,): own for name, own in kinds.items()}
    if len(kinds) > 1:
        joint = np.unique(np.stack(list(kinds.values())), axis=1, return_inverse=True)[1].reshape(-1)
        if joint.max() < len(joint) / 10:
            groups[tuple(kinds)] = joint
    for names, own in groups.items():
        number = np.unique(own).size
        if 2 <= number <= len(own) / 4 and _within(surface.residuals, own) < surface.residuals.std() / 2:
            yield Finding(
                code="RUN022",
                text=f"Rows of different {_listed(names)} ({number} groups) lie on different curves.",
                hint="Fit each group by itself, or add what tells them apart as a column of ours.",
            )
            return


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(map(repr, names))


def _within(residuals: Array, kinds: Rows) -> float:
    """Spread that is left when every kind has its own mean."""
    count = np.bincount(kinds)
    mean = np.bincount(kinds, weights=residuals) / np.maximum(count, 1)
    return float((residuals - mean[kinds]).std())
