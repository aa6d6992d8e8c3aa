"""The table of runs: what producers make and what every fit takes, whichever columns its law reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, nearest
from scalescope.points.columns import COLUMNS, SIZES, Kind
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.points.provenance import Provenance
from scalescope.points.results import from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs or other measurements, one row each.  Built by `scalescope.load_runs`, `from_columns` or a study.

    Every column is a float array of one length, under a name of `COLUMNS` and in its base unit. A table of
    language models has size, tokens, compute and loss, and no gaps in these; any other needs only the columns
    that its law reads, and a gap is nan.
    `count` names the column that is N in every formula; mixing counts silently is what this field is there
    to prevent.
    """

    schema: ClassVar[str] = "scalescope.runs/1"

    columns: Mapping[str, Array]
    names: tuple[str, ...] = ()
    """A label a row, such as `d64-L3-s0`; empty when the table has none."""
    count: str = "params"
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if not self.columns:
            raise InputError("a table needs a column", hint=f"Known: {', '.join(COLUMNS)}.")
        self._check_names()
        self._check_lengths()
        full = gapless(self.columns, self.count)
        for name, column in self.columns.items():
            self._check_numbers(name, column, gaps=name not in full)

    def _check_names(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise InputError(f"{name!r} is not a column of runs", hint=nearest(name, COLUMNS))
        if self.count not in SIZES:
            raise InputError(f"N cannot be counted by {self.count!r}", hint=nearest(self.count, SIZES))
        present = counts_in(self.columns)
        if present and self.count not in present:
            raise InputError(
                f"the table does not count {self.count}",
                hint=f"It has {' and '.join(present)}; choose one as count.",
            )

    def _check_lengths(self) -> None:
        if any(np.ndim(column) != 1 for column in self.columns.values()):
            raise InputError("a column is one list of numbers", hint="Give every column as a flat list.")
        lengths = {name: len(column) for name, column in self.columns.items()}
        if self.names:
            lengths["names"] = len(self.names)
        if len(set(lengths.values())) > 1:
            raise InputError(f"columns have different lengths: {lengths}", hint="Every row needs every cell.")

    def _check_numbers(self, name: str, column: Array, *, gaps: bool) -> None:
        bad = impossible(name, column, gaps=gaps)
        if bad.size:
            row = int(bad[0])
            raise InputError(
                f"row {row + 1}, column {name}: {float(column[row])!r} {REFUSALS[COLUMNS[name].kind]}",
                hint=f"{bad.size} of {len(column)} rows are like this; correct or remove them.",
            )

    @classmethod
    def from_columns(cls, columns: Mapping[str, npt.ArrayLike], **fields: Any) -> Runs:
        """Build from columns in base units; of size, tokens and compute the third follows from C = 6 N D.

        N is counted by the first of `SIZES` that is there unless `count` says otherwise. The provenance notes
        what was derived.
        """
        table = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
        count = fields.setdefault("count", (counts_in(table) or SIZES)[0])
        derived = _derive(table, count)
        if derived:
            provenance = fields.get("provenance", Provenance())
            fields["provenance"] = replace(provenance, options={**provenance.options, "derived": derived})
        return cls(columns=table, **fields)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            close = nearest(name, self.columns) if name not in COLUMNS else ""
            raise InputError(
                f"these runs have no column {name!r}",
                hint=close or f"They have {', '.join(self.columns)}; map one by name, such as theirs={name}.",
            )
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def size(self) -> Array:
        """N under the convention `count`, shape (n_runs,); an `InputError` where it is absent."""
        return self[self.count]

    @property
    def tokens(self) -> Array:
        """Training tokens D, shape (n_runs,); an `InputError` where they are absent."""
        return self["tokens"]

    @property
    def compute(self) -> Array:
        """Training FLOP C, shape (n_runs,); an `InputError` where it is absent."""
        return self["compute"]

    @property
    def loss(self) -> Array:
        """Held-out loss L in nats per token, shape (n_runs,); an `InputError` where it is absent."""
        return self["loss"]

    @property
    def held_out(self) -> npt.NDArray[np.bool_]:
        """Which rows no fit may use, shape (n_runs,)."""
        return np.asarray(self.columns.get("held_out", np.zeros(len(self))) > 0)

    @property
    def spent(self) -> float:
        """FLOP spent on these runs.

        Rows of one name and seed are branches of one training run, of which only the longest counts.
        """
        if not self.names:
            return float(np.nansum(self.compute))
        longest: dict[tuple[str, float], float] = {}
        seeds = self.columns.get("seed", np.zeros(len(self)))
        for name, seed, compute in zip(self.names, seeds, self.compute, strict=True):
            longest[name, seed] = max(longest.get((name, seed), 0.0), compute)  # nan never wins
        return sum(longest.values())

    def select(self, mask: npt.NDArray[np.bool_]) -> Runs:
        """Return the rows where `mask` is true."""
        names = tuple(name for name, keep in zip(self.names, mask, strict=True) if keep) if self.names else ()
        return replace(self, columns={k: v[mask] for k, v in self.columns.items()}, names=names)

    def fitted(self) -> Runs:
        """Return the rows that a fit may use: all but the held-out ones."""
        return self.select(~self.held_out)

    def counted_by(self, count: str) -> Runs:
        """Return the same runs with N counted by another column; `conventions.recount` makes one."""
        return replace(self, count=count)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one dictionary a run, without absent values."""
        plain = {name: column.tolist() for name, column in self.columns.items()}
        for index in range(len(self)):
            row: dict[str, Any] = {"name": self.names[index]} if self.names else {}
            for name, column in plain.items():
                if column[index] == column[index]:  # nan is absent
                    row[name] = column[index]
            yield row

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, ready for any data-frame constructor."""
        return list(self.rows())

    def summary(self) -> str:
        """A few lines for a terminal: how many runs and what they span."""
        known = {"N": self.count, "D": "tokens", "C": "compute", "L": "loss"}
        letters = {name: letter for letter, name in known.items()}
        shown = [name for name in known.values() if name in self]
        shown += (
            [name for name in self.columns if name not in shown and len(shown) < 8] if len(shown) < 2 else []
        )
        n_held, counted = int(self.held_out.sum()), f" (N counts {self.count})" if self.count in self else ""
        lines = [f"{len(self)} runs, {n_held} held out{counted}"]
        lines += [_span(name, letters.get(name, ""), self.columns[name]) for name in shown]
        return "\n".join(lines + [f"  {finding}" for finding in self.findings])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Runs:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


REFUSALS: dict[Kind, str] = {
    "positive": "must be above zero and finite",
    "nonnegative": "must be zero or more and finite",
    "any": "must be finite",
}
"""What is said of a number that a column cannot hold."""


def _derive(table: dict[str, Array], count: str) -> str | None:
    """Add the third of size, tokens and compute to a table that has two; return its name."""
    with np.errstate(all="ignore"):  # what is not finite is told by name
        if count in table and "tokens" in table and "compute" not in table:
            table["compute"] = 6 * table[count] * table["tokens"]
            return "compute"
        if count in table and "compute" in table and "tokens" not in table:
            table["tokens"] = table["compute"] / (6 * table[count])
            return "tokens"
        if "tokens" in table and "compute" in table and not counts_in(table):
            table[count] = table["compute"] / (6 * table["tokens"])
            return count
    return None


def counts_in(columns: Iterable[str]) -> tuple[str, ...]:
    """Which of these columns can be N, in the order of preference."""
    present = set(columns)
    return tuple(size for size in SIZES if size in present)


def gapless(columns: Iterable[str], count: str) -> tuple[str, ...]:
    """Columns that may not have gaps: size, tokens, compute and loss, where loss and two others are there."""
    present = set(columns)
    known = present & {count, "tokens", "compute"}
    return (count, "tokens", "compute", "loss") if "loss" in present and len(known) > 1 else ()


def impossible(name: str, column: Array, *, gaps: bool) -> npt.NDArray[np.intp]:
    """Rows whose number the column `name` cannot hold; nan is a gap, which `gaps` allows."""
    kind = COLUMNS[name].kind
    good = np.isfinite(column)
    if kind != "any":
        good &= column > 0 if kind == "positive" else column >= 0
    if gaps:
        good |= np.isnan(column)
    return np.flatnonzero(~good)


def _span(name: str, letter: str, column: Array) -> str:
    from scalescope.units import format_count, format_flop, format_loss, format_significant

    shows: dict[str, Any] = {"N": format_count, "D": format_count, "C": format_flop, "L": format_loss}
    show, known = shows.get(letter, format_significant), column[~np.isnan(column)]
    title = {"N": "parameters N", "D": "tokens D", "C": "compute C", "L": "loss L"}.get(letter, name)
    if not known.size:
        return f"  {title:13} unknown"
    unit = " nats/token" if letter == "L" else ""
    return f"  {title:13} {show(float(known.min()))} to {show(float(known.max()))}{unit}"
