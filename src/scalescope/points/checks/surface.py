"""A smooth surface through a table, quick and robust, against which single rows and groups are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.points.checks.evidence import Evidence, Rows, robust_fit, sampled
from scalescope.points.columns import COLUMNS, OUTCOMES, SIZES
from scalescope.points.estimates import Array

_AXES = ("tokens", "steps", "step", "compute", "examples")
"""What bends a loss most beside the size; the first that is there is an axis."""
_DERIVED = ("compute", "compute_exact", "steps", "params_embedding", *SIZES)
"""Columns that say little beyond size and tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Residuals of log loss against all that the table says about its rows."""

    rows: Rows
    """Rows that were looked at, shape (n,)."""
    axes: Array
    """What the loss depends on most, centred logarithms of unit spread, shape (n_axes, n)."""
    settings: Array
    """The other settings likewise, shape (n_settings, n)."""
    residuals: Array
    """Shape (n,)."""
    sd: float
    """Robust standard deviation of the residuals."""

    def off_neighbours(self, at: int, most: int = 6) -> float:
        """Residual of the row `at` (a position in `rows`) less the median of those of the nearest rows."""
        places = np.concatenate([self.axes, self.settings])
        distance = ((places - places[:, [at]]) ** 2).sum(axis=0)
        distance[at] = np.inf
        nearest = np.argpartition(distance, most)[:most]
        return float(self.residuals[at] - np.median(self.residuals[nearest]))

    def in_corner(self, at: int) -> bool:
        """Whether a row is at the edge of two axes, where nothing holds the surface."""
        low, high = np.quantile(self.axes, [0.03, 0.97], axis=1)
        return bool(((self.axes[:, at] <= low) | (self.axes[:, at] >= high)).sum() >= 2)


def surface_of(table: Evidence) -> Surface | None:
    """Fit a polynomial in logarithmic axes, linear in other settings; None where rows are too few.

    It is of the third degree where there are four rows a term, else of the second.
    """
    if not table.has("loss"):
        return None
    rows = sampled(len(table.runs))
    axes, others = _columns(table, rows)
    with np.errstate(all="ignore"):
        y = np.log(table.runs.loss[rows])
        good = np.isfinite(np.stack([y, *axes, *others])).all(axis=0)
    axes, others = _standard(axes, good, 4), _standard(others, good, 3)
    if not axes:
        return None
    designs = (np.column_stack([_polynomial(axes, degree), *others]) for degree in (3, 2))
    design = next((one for one in designs if good.sum() >= 4 * one.shape[1]), None)
    if design is None:
        return None
    residuals, sd = robust_fit(design, y[good])
    settings = np.stack(others) if others else np.zeros((0, len(residuals)))
    return Surface(rows=rows[good], axes=np.stack(axes), settings=settings, residuals=residuals, sd=sd)


def _columns(table: Evidence, rows: Rows) -> tuple[list[Array], list[Array]]:
    """Logarithms of the axes and of the other settings of the sampled rows."""
    runs = table.runs
    names = [runs.count] if table.has("size") else []
    names += [name for name in _AXES if name in runs][:1]
    names += ["tokens_unique"] if table.has("tokens", "tokens_unique") else []
    rest = [
        name
        for name in table.setting_columns
        if name not in (*names, *OUTCOMES, *_DERIVED) and COLUMNS[name].kind == "positive"
    ]
    with np.errstate(all="ignore"):
        logs = {name: np.log(runs[name][rows] + (name == "step")) for name in (*names, *rest)}
    full = [name for name in rest if np.isfinite(logs[name]).all()]
    return [logs[name] for name in names], [logs[name] for name in full]


def _standard(columns: list[Array], good: np.typing.NDArray[np.bool_], fewest: int) -> list[Array]:
    """Centre and scale the columns that take enough different values."""
    kept = [column[good] for column in columns]
    return [
        (one - one.mean()) / one.std() for one in kept if np.unique(one).size >= fewest and one.std() > 1e-9
    ]


def _polynomial(axes: list[Array], degree: int) -> Array:
    """All products of two of the axes up to a degree of 2 or 3, shape (n, n_terms)."""
    terms = [np.ones(len(axes[0]))]
    for i, a in enumerate(axes):
        terms += [a**power for power in range(1, degree + 1)]
        for b in axes[i + 1 :]:
            terms += [a * b] if degree == 2 else [a * b, a**2 * b, a * b**2]
    return np.stack(terms, axis=1)
