"""What every check looks at, and small statistics that several of them need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scalescope.points.cells import Cells
from scalescope.points.columns import BOOKKEEPING
from scalescope.points.estimates import Array
from scalescope.points.naming import Match
from scalescope.points.runs import Runs

SAMPLE = 4000
"""Rows, evenly spaced, that stand for a larger table in checks that fit something."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A table that was read, how its columns were recognised, and the columns that were not."""

    runs: Runs
    matches: Mapping[str, Match] = field(default_factory=dict)
    """Our name to what it was recognised from."""
    rest: Mapping[str, Cells] = field(default_factory=dict)
    """Columns that are not ours."""
    kinds: Mapping[str, Rows] = field(default_factory=dict)
    """Columns of text that sort the rows into a few kinds, the names among them: number of the kind a row."""

    @classmethod
    def of(cls, runs: Runs, matches: Iterable[Match], rest: Mapping[str, Cells]) -> Evidence:
        """Gather what the checks look at."""
        found = {match.ours: match for match in matches}
        label = found["name"].theirs if "name" in found else "name"
        texts: dict[str, Sequence[object]] = {label: runs.names} if runs.names else {}
        texts |= {name: column for name, column in rest.items() if not isinstance(column, np.ndarray)}
        few = max(len(runs) // 2, 2)
        kinds = {name: _kinds_of(cells, few) for name, cells in texts.items()}
        return cls(
            runs=runs,
            matches=found,
            rest=rest,
            kinds={name: own for name, own in kinds.items() if own is not None},
        )

    def has(self, *names: str) -> bool:
        """Whether the table has all of these columns; `size` is N as it is counted."""
        return all((self.runs.count if name == "size" else name) in self.runs for name in names)

    def known(self, *names: str) -> tuple[Rows, list[Array]]:
        """Rows without gaps in these columns, and the columns at these rows; none if a column is absent."""
        if not self.has(*names):
            return np.zeros(0, dtype=np.intp), [np.zeros(0) for _ in names]
        columns = [self.runs.size if name == "size" else self.runs[name] for name in names]
        rows = np.flatnonzero(np.isfinite(np.stack(columns)).all(axis=0))
        return rows, [column[rows] for column in columns]

    def median(self, name: str, otherwise: float = float("nan")) -> float:
        """Median of a column without its gaps; `otherwise` where there is nothing in it."""
        _, (column,) = self.known(name)
        return float(np.median(column)) if len(column) else otherwise

    @property
    def derived(self) -> str:
        """Which of size, tokens and compute was computed from the others; empty if none."""
        return str(self.runs.provenance.options.get("derived") or "")

    def theirs(self, ours: str) -> str:
        """Return what the table calls a column of ours."""
        return self.matches[ours].theirs if ours in self.matches else ours

    def numbers_in_rest(self) -> Iterable[tuple[str, Array]]:
        """Yield the unrecognised columns that hold numbers only."""
        for name, column in self.rest.items():
            if isinstance(column, np.ndarray) and len(column):
                yield name, column

    @property
    def setting_columns(self) -> list[str]:
        """Columns that say what was done or measured, without bookkeeping."""
        return [name for name in self.runs.columns if name not in BOOKKEEPING]

    def label(self, row: int) -> str:
        """Name a row for a reader: its number and its name where it has one."""
        name = self.runs.names[row] if self.runs.names else ""
        return f"{row + 1} ({name})" if name else f"{row + 1}"

    def labels(self, rows: Sequence[int] | Rows, most: int = 5) -> str:
        """Name several rows, the first few of them."""
        shown = ", ".join(self.label(int(row)) for row in rows[:most])
        word = "row" if len(rows) == 1 else "rows"
        return f"{word} {shown}" + (f" and {len(rows) - most} more" if len(rows) > most else "")


def _kinds_of(cells: Sequence[object], most: int) -> Rows | None:
    """Number the distinct cells in the order in which they occur; None if they are one kind or too many."""
    words = list(map(str, cells))
    known = {word: number for number, word in enumerate(dict.fromkeys(words))}
    if not 2 <= len(known) <= most:
        return None
    return np.array(list(map(known.__getitem__, words)), dtype=np.intp)


def sampled(n: int) -> Rows:
    """Return at most `SAMPLE` evenly spaced rows of n."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.intp)) if n else np.zeros(0, dtype=np.intp)
    )


def ranks(values: Array) -> Array:
    """Average-free ranks: equal values share the lowest."""
    return np.asarray(np.unique(values, return_inverse=True)[1].reshape(-1), dtype=np.float64)


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's correlation of two columns; 0 where one of them does not vary."""
    a, b = ranks(one), ranks(other)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def robust_fit(design: Array, y: Array) -> tuple[Array, float]:
    """Residuals of a regression that outliers do not bend, and their robust standard deviation.

    Least squares re-weighted by Tukey's bisquare at 4.7 robust standard deviations; the columns of `design`
    should be of order one.
    """
    weights = np.ones(len(y))
    residuals, sd = y, 0.0
    for _ in range(25):
        weighted = design * weights[:, None]
        gram = weighted.T @ design
        gram[np.diag_indices_from(gram)] += 1e-10 * (np.trace(gram) + 1e-300)
        residuals = y - design @ np.linalg.solve(gram, weighted.T @ y)
        sd = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        if sd <= 1e-12:
            break
        weights = np.clip(1 - (residuals / (4.7 * sd)) ** 2, 0.0, None) ** 2
    return residuals, sd
