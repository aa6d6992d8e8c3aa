"""The table of training runs: what producers make and what every fit takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, nearest
from scalescope.points.columns import POSITIVE
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.points.provenance import Provenance
from scalescope.points.results import from_plain, to_plain

REQUIRED = ("tokens", "compute", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Finished training runs, one row each.  Built by `scalescope.load_runs`, `from_columns` or a study.

    Every column is a float array of one length. `count` names the column that is N in every formula; mixing
    counts silently is what this field is there to prevent.
    """

    schema: ClassVar[str] = "scalescope.runs/1"

    columns: Mapping[str, Array]
    names: tuple[str, ...] = ()
    """A label a row, such as `d64-L3-s0`; empty when the table has none."""
    count: str = "params"
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        missing = [name for name in (*REQUIRED, self.count) if name not in self.columns]
        if missing:
            raise InputError(
                f"no column {missing[0]!r} among {', '.join(self.columns)}",
                hint=nearest(missing[0], self.columns) if self.columns else "The table is empty.",
            )
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"columns have different lengths: {lengths}")
        for name in POSITIVE:
            if name in self.columns:
                self._check_positive(name)

    def _check_positive(self, name: str) -> None:
        column = self.columns[name]
        bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
        # Optional columns may have gaps (nan); what a formula uses may not.
        if name not in (*REQUIRED, self.count):
            bad = bad[~np.isnan(column[bad])]
        if bad.size:
            row = int(bad[0])
            raise InputError(
                f"row {row + 1}, column {name}: {column[row]!r} is not a positive number",
                hint=f"{bad.size} of {len(column)} rows are like this; correct or remove them.",
            )

    @classmethod
    def from_columns(cls, columns: Mapping[str, npt.ArrayLike], **fields: Any) -> Runs:
        """Build from any two of (size, tokens, compute) and the loss; the third follows from C = 6 N D."""
        table = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
        count = fields.get("count", "params")
        if count in table and "tokens" in table and "compute" not in table:
            table["compute"] = 6 * table[count] * table["tokens"]
        elif count in table and "compute" in table and "tokens" not in table:
            table["tokens"] = table["compute"] / (6 * table[count])
        elif "tokens" in table and "compute" in table and count not in table:
            table[count] = table["compute"] / (6 * table["tokens"])
        return cls(columns=table, **fields)

    def __len__(self) -> int:
        return len(self.columns["loss"])

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise InputError(f"these runs have no column {name!r}", hint=nearest(name, self.columns))
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def size(self) -> Array:
        """N under the convention `count`, shape (n_runs,)."""
        return self.columns[self.count]

    @property
    def tokens(self) -> Array:
        """Training tokens D, shape (n_runs,)."""
        return self.columns["tokens"]

    @property
    def compute(self) -> Array:
        """Training FLOP C, shape (n_runs,)."""
        return self.columns["compute"]

    @property
    def loss(self) -> Array:
        """Held-out loss L in nats per token, shape (n_runs,)."""
        return self.columns["loss"]

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
            return float(self.compute.sum())
        longest: dict[tuple[str, float], float] = {}
        seeds = self.columns.get("seed", np.zeros(len(self)))
        for name, seed, compute in zip(self.names, seeds, self.compute, strict=True):
            longest[name, seed] = max(compute, longest.get((name, seed), 0.0))
        return sum(longest.values())

    def select(self, mask: npt.NDArray[np.bool_]) -> Runs:
        """Return the rows where `mask` is true."""
        names = tuple(name for name, keep in zip(self.names, mask, strict=True) if keep) if self.names else ()
        return replace(self, columns={k: v[mask] for k, v in self.columns.items()}, names=names)

    def fitted(self) -> Runs:
        """Return the rows that a fit may use: all but the held-out ones."""
        return self.select(~self.held_out)

    def counted_by(self, count: str) -> Runs:
        """Return the same runs with N counted by another column."""
        return replace(self, count=count)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one dictionary a run, without absent values."""
        for index in range(len(self)):
            row: dict[str, Any] = {"name": self.names[index]} if self.names else {}
            row |= {k: float(v[index]) for k, v in self.columns.items() if not np.isnan(v[index])}
            yield row

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, ready for any data-frame constructor."""
        return list(self.rows())

    def summary(self) -> str:
        """A few lines for a terminal: how many runs and what they span."""
        from scalescope.units import format_count, format_flop, format_loss

        def span(column: Array, show: Any) -> str:
            return f"{show(float(column.min()))} to {show(float(column.max()))}"

        lines = [
            f"{len(self)} runs, {int(self.held_out.sum())} held out (N counts {self.count})",
            f"  parameters N  {span(self.size, format_count)}",
            f"  tokens D      {span(self.tokens, format_count)}",
            f"  compute C     {span(self.compute, format_flop)}",
            f"  loss L        {span(self.loss, format_loss)} nats/token",
        ]
        return "\n".join(lines + [f"  {finding}" for finding in self.findings])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Runs:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
