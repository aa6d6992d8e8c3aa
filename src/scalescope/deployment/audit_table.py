"""Anybody's table of benchmark results as rows of runs, whatever its layout was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scalescope.deployment.audit_columns import Column

_DECODE = re.compile(r"decod|generat|tpot|itl|output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One model at one length, as a row reports it."""

    length: int | None = None
    series: str = ""
    batch: float = 1.0
    seconds: float | None = None
    """Of a call; None for decode."""
    tokens_per_s: float | None = None
    flop: float | None = None
    """Of the call, where the table knows it."""
    flop_per_s: float | None = None
    """As the table claims it."""
    rate_again: float | None = None
    """Tokens per second by another column of the row: the rate beside a latency, or the reverse."""
    failed: str = ""
    """How it ended, where it did not run."""

    @property
    def ran(self) -> bool:
        """Whether it has a figure."""
        return not self.failed and (self.tokens_per_s is not None or self.seconds is not None)

    @property
    def decodes(self) -> bool:
        """Whether it gives token after token."""
        return bool(self.series) and _DECODE.search(self.series) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Memory as one column reports it."""

    column: str
    size: float
    """Bytes."""
    whole: bool = True
    """Whether it should hold the weights."""
    negative_zero: bool = False
    """Whether it was a negative number rounded to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One row."""

    place: int
    """Line of the file, or number of the row."""
    model: str
    category: str = ""
    params: float | None = None
    load_s: float | None = None
    dtype: str = ""
    conditions: tuple[str, ...] = ()
    samples: float | None = None
    memory: tuple[Amount, ...] = ()
    percentiles: Mapping[float, float]
    """Percent to seconds."""
    runs: tuple[Run, ...] = ()
    written: tuple[str, ...] = ()
    """All cells, to tell copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """A table of results, taken apart.  Made by `read_results`."""

    source: str
    digest: str = ""
    place: str = "line"
    columns: tuple[Column, ...] = ()
    rows: tuple[ResultRow, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Cells that are neither number, failure nor blank."""

    def distinct(self) -> ResultTable:
        """Keep the first of identical rows."""
        first: dict[tuple[str, ...], ResultRow] = {}
        for row in self.rows:
            first.setdefault(row.written, row)
        return replace(self, rows=tuple(first.values()))
