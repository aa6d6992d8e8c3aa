"""Runs from a file, standard input or a data frame: columns recognised, cells checked, the rest told.

Findings of this room:

* RUN001: columns were recognised under other names.
* RUN002: columns that are not ours were ignored.
* RUN003: a column was computed from C = 6 N D.
* RUN004: the compute of the table is not 6 N D.
* RUN005: the table counts N in several ways, or in one that is not all parameters.
* RUN006: rows are exact repetitions of others.
* RUN007: a column is implausible for its unit.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points.columns import COLUMNS, POSITIVE, SIZES
from scalescope.points.estimates import Array
from scalescope.points.naming import Match, match_columns
from scalescope.points.provenance import Provenance, digest_of
from scalescope.points.runs import Runs
from scalescope.points.screening import screen
from scalescope.points.tables import Document, Table, open_document, read_object, read_table
from scalescope.units import parse_number

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}
_TRUTH = {"true": 1.0, "false": 0.0}


def read_runs(
    source: str | PathLike[str] | IntoFrame,
    *,
    columns: Mapping[str, str] | None = None,
    count: str | None = None,
) -> Runs:
    """Read a table of training runs.

    It needs the loss and any two of size, tokens and compute; the third follows from C = 6 N D. Numbers may
    be written `70B` or `3e21`. What was recognised, computed or ignored is told in `findings`.

    Parameters
    ----------
    source
        A CSV, TSV, JSON, JSONL or Parquet file, `-` for standard input, or a data frame of pandas, polars or
        pyarrow. A runs file of our own comes back as it was written.
    columns
        The table's names to ours, such as `{"size": "params", "flops": "compute"}`, where they are not
        recognised or recognised wrongly.
    count
        The column that is N in every formula: `params`, `params_nonembedding`, `params_matmul` or
        `params_active`. The default is the first of these that the table has.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or holds a number that cannot be; the message names the
        line and the column.
    """
    if not isinstance(source, (str, PathLike)):
        return runs_from_frame(source, columns=columns, count=count)
    document = open_document(source if isinstance(source, str) else Path(source))
    return runs_from_document(document, columns=columns, count=count)


def runs_from_document(
    document: Document, *, columns: Mapping[str, str] | None = None, count: str | None = None
) -> Runs:
    """Take runs from a file that was read already; see `read_runs`.

    Raises
    ------
    InputError
        As in `read_runs`.
    """
    own = read_object(document)
    if own is not None and "schema" in own:
        runs = Runs.from_dict(own)
        return runs if count is None else runs.counted_by(count)
    return _runs(read_table(document), columns, count)


def runs_from_frame(
    frame: IntoFrame,
    *,
    columns: Mapping[str, str] | None = None,
    count: str | None = None,
    source: str = "data frame",
) -> Runs:
    """Take runs from a data frame (pandas, polars, pyarrow); see `read_runs`.

    Raises
    ------
    InputError
        If it is no data frame, or as in `read_runs`.
    """
    import narwhals as nw

    try:
        native = nw.from_native(frame)
    except TypeError:
        raise InputError(
            f"{type(frame).__name__} is neither a path nor a data frame",
            hint="Pass a path, or a frame of pandas, polars or pyarrow.",
        ) from None
    eager = native.collect() if isinstance(native, nw.LazyFrame) else native
    cells = {name: eager[name].to_list() for name in eager.columns}
    digest = digest_of(*(repr((name, column)).encode() for name, column in cells.items()))
    places = range(1, len(eager) + 1)
    if not cells or not places:
        raise InputError(f"the {source} has no rows", hint="It needs one row a run.")
    return _runs(
        Table(source=source, digest=digest, columns=cells, places=places, place="row"), columns, count
    )


def _runs(table: Table, mapping: Mapping[str, str] | None, count: str | None) -> Runs:
    matches = match_columns(table.columns, mapping)
    count = _choose_count(matches, count)
    _require(table, matches, count)
    name = matches.pop("name", None)
    numbers = {ours: _numbers(table, match) for ours, match in matches.items()}
    needed = {"loss", count, "tokens", "compute"}
    for ours, column in numbers.items():
        if ours in POSITIVE or ours in needed:
            _check_column(table, matches[ours], column, required=ours in needed)
    used = {match.theirs: match.ours for match in (*matches.values(), *([name] if name else []))}
    provenance = Provenance(
        source=table.source,
        digest=table.digest,
        options={
            "count": count,
            "columns": ",".join(f"{theirs}={ours}" for theirs, ours in used.items() if theirs != ours),
        },
    )
    runs = Runs.from_columns(
        {ours: numbers[ours] for ours in COLUMNS if ours in numbers},
        names=tuple("" if cell is None else str(cell) for cell in table.columns[name.theirs]) if name else (),
        count=count,
        provenance=provenance,
    )
    ignored = [theirs for theirs in table.columns if theirs not in used]
    everything = (*matches.values(), *([name] if name else []))
    return replace(runs, findings=screen(runs, matches=everything, ignored=ignored))


def _choose_count(matches: Mapping[str, Match], count: str | None) -> str:
    present = [size for size in SIZES if size in matches]
    if count is None:
        return present[0] if present else "params"
    if count not in SIZES:
        raise InputError(f"N cannot be counted by {count!r}", hint=nearest(count, SIZES))
    if present and count not in present:
        raise InputError(
            f"the table does not count {count}", hint=f"It has {' and '.join(present)}; choose one as count."
        )
    return count


def _require(table: Table, matches: Mapping[str, Match], count: str) -> None:
    """Check that there is a loss and two of size, tokens and compute."""
    missing = [ours for ours in (count, "tokens", "compute") if ours not in matches]
    lacking = ["loss"] if "loss" not in matches else missing if len(missing) > 1 else []
    if not lacking:
        return
    shown = ", ".join(list(table.columns)[:12]) + (", ..." if len(table.columns) > 12 else "")
    what = "the loss" if lacking == ["loss"] else f"two of {count}, tokens and compute"
    raise InputError(
        f"{table.source} has no column for {what}; it has {shown}",
        hint=_suggestion(table, matches, lacking),
    )


def _suggestion(table: Table, matches: Mapping[str, Match], lacking: list[str]) -> str:
    """Name the column that was probably meant, and how to say so."""
    used = {match.theirs for match in matches.values()}
    free = {theirs.lower(): theirs for theirs in table.columns if theirs not in used}
    for ours in lacking:
        close = difflib.get_close_matches(ours, free, n=1, cutoff=0.5)
        if close:
            theirs = free[close[0]]
            return f"Did you mean {theirs!r}? Map it by name: {theirs}={ours}."
    return f"Map the column that holds it by name, such as theirs={lacking[0]}."


def _numbers(table: Table, match: Match) -> Array:
    """Turn cells into numbers in base units; absent ones become nan."""
    cells = table.columns[match.theirs]
    column = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        try:
            column[index] = _number(cell) * match.scale
        except (InputError, OverflowError):
            raise InputError(
                f"{_where(table, match, index)}: {str(cell)[:40]!r} is not a number",
                hint="Write it as 70B, 1.4T, 3e21 or 2.31; leave it empty where it is unknown.",
            ) from None
    return column


def _number(cell: Any) -> float:
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        plain = cell.strip().lower()
        if plain in _MISSING:
            return math.nan
        return _TRUTH[plain] if plain in _TRUTH else parse_number(cell)
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise InputError("not a number") from None


def _check_column(table: Table, match: Match, column: Array, *, required: bool) -> None:
    bad = ~(np.isfinite(column) & (column > 0))
    if not required:
        bad &= ~np.isnan(column)
    rows = np.flatnonzero(bad)
    if not rows.size:
        return
    first = int(rows[0])
    what = "is missing or not a number" if np.isnan(column[first]) else "must be above zero and finite"
    raise InputError(
        f"{_where(table, match, first)}: {str(table.columns[match.theirs][first])[:40]!r} {what}",
        hint=f"{rows.size} of {len(column)} rows are like this; correct or remove them.",
    )


def _where(table: Table, match: Match, index: int) -> str:
    ours = "" if match.theirs == match.ours else f" ({match.ours})"
    return f"{table.source}, {table.place} {table.places[index]}, column {match.theirs!r}{ours}"
