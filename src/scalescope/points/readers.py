"""Runs from a file, standard input or a data frame: columns recognised, cells checked, the rest told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points.cells import Cells, labels, number
from scalescope.points.columns import COLUMNS, SIZES
from scalescope.points.conventions import scale_errors, split_units
from scalescope.points.conversions import find_unit
from scalescope.points.demands import require
from scalescope.points.documents import Document, open_document
from scalescope.points.estimates import Array
from scalescope.points.naming import Match, match_columns, resolve_ours
from scalescope.points.provenance import Provenance, digest_of
from scalescope.points.runs import REFUSALS, Runs, counts_in, gapless, impossible
from scalescope.points.screening import screen
from scalescope.points.tables import Table, read_object, read_table

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

Units = Mapping[str, str | float]


def read_runs(
    source: str | PathLike[str] | IntoFrame,
    *,
    columns: Mapping[str, str] | None = None,
    count: str | None = None,
    units: Units | None = None,
) -> Runs:
    """Read a table of runs, or of anything else that a law is about.

    It needs two columns of ours, as a rule an outcome such as the loss and what it depends on. Of size,
    tokens and compute the third follows from C = 6 N D. Numbers may be written `70B` or `3e21`. What was
    recognised, computed, ignored or looks wrong is told in `findings`.

    Parameters
    ----------
    source
        A CSV, TSV, JSON, JSONL or Parquet file, also with `.gz` or `.xz` behind, `-` for standard input, or a
        data frame of pandas, polars or pyarrow. A runs file of our own comes back as it was written.
    columns
        The table's names to ours, such as `{"size": "params", "flops": "compute"}`, where they are not
        recognised or recognised wrongly.
    count
        The column that is N in every formula: `params`, `params_nonembedding`, `params_matmul` or
        `params_active`. The default is the first of these that the table has.
    units
        Units of columns that are not in base units, such as `{"loss": "bits", "compute": "PF-days",
        "params": "M"}`, and `bytes_per_token` or `characters_per_token` where one of them needs it.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or holds a number that cannot be; the message names the
        line and the column.
    """
    if not isinstance(source, (str, PathLike)):
        return runs_from_frame(source, columns=columns, count=count, units=units)
    document = open_document(source if isinstance(source, str) else Path(source))
    return runs_from_document(document, columns=columns, count=count, units=units)


def runs_from_document(
    document: Document,
    *,
    columns: Mapping[str, str] | None = None,
    count: str | None = None,
    units: Units | None = None,
) -> Runs:
    """Take runs from a file that was read already; see `read_runs`.

    Raises
    ------
    InputError
        As in `read_runs`, or if units are given for a runs file of our own, which has base units.
    """
    own = read_object(document)
    if own is not None and "schema" in own:
        if units:
            raise InputError(
                f"{document.source} is a runs file and in base units already", hint="Leave the units out."
            )
        runs = Runs.from_dict(own)
        return runs if count is None else runs.counted_by(count)

    def kept(names: Sequence[str]) -> set[str]:
        present = {theirs: ours for theirs, ours in (columns or {}).items() if theirs in names}
        label = match_columns(names, present).get("name")
        return {label.theirs} if label else set()

    return _runs(read_table(document, keep=kept), columns, count, units)


def runs_from_frame(
    frame: IntoFrame,
    *,
    columns: Mapping[str, str] | None = None,
    count: str | None = None,
    units: Units | None = None,
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
    cells: dict[str, Cells] = {}
    for name, kind in eager.schema.items():
        plain = kind.is_float() or kind.is_integer()
        cells[name] = (
            np.asarray(eager[name].cast(nw.Float64).to_numpy(), dtype=np.float64)
            if plain
            else eager[name].to_list()
        )
    places = range(1, len(eager) + 1)
    if not cells or not places:
        raise InputError(f"the {source} has no rows", hint="It needs one row a run.")
    parts = (part for name, column in cells.items() for part in (name.encode(), _bytes(column)))
    table = Table(source=source, digest=digest_of(*parts), columns=cells, places=places, place="row")
    return _runs(table, columns, count, units)


def _bytes(column: Cells) -> bytes:
    return column.tobytes() if isinstance(column, np.ndarray) else repr(column).encode()


def _runs(table: Table, mapping: Mapping[str, str] | None, count: str | None, units: Units | None) -> Runs:
    matches = match_columns(table.columns, mapping)
    count = _choose_count(matches, count)
    require(table, matches, mapped=bool(mapping))
    name = matches.pop("name", None)
    numbers = {ours: _numbers(table, match) for ours, match in matches.items()}
    converted = _convert(table, matches, numbers, units or {})
    full = gapless(numbers, count)
    for ours, column in numbers.items():
        _check_column(table, matches[ours], column, gaps=ours not in full)
    everything = (*matches.values(), *([name] if name else []))
    used = {match.theirs: match.ours for match in everything}
    options = {
        "count": count,
        "columns": ",".join(f"{theirs}={ours}" for theirs, ours in used.items() if theirs != ours),
    }
    runs = Runs.from_columns(
        {ours: numbers[ours] for ours in COLUMNS if ours in numbers},
        names=_names(table.columns[name.theirs]) if name else (),
        count=count,
        provenance=Provenance(
            source=table.source,
            digest=table.digest,
            options={**options, **({"units": converted} if converted else {})},
        ),
    )
    rest = {theirs: column for theirs, column in table.columns.items() if theirs not in used}
    return replace(runs, findings=screen(runs, matches=everything, rest=rest))


def _names(cells: Cells) -> tuple[str, ...]:
    if isinstance(cells, np.ndarray):
        return tuple(f"{cell:.17g}" for cell in cells.tolist())
    return tuple("" if cell is None else str(cell) for cell in cells)


def _choose_count(matches: Mapping[str, Match], count: str | None) -> str:
    present = counts_in(matches)
    if count is None:
        return present[0] if present else "params"
    if count not in SIZES:
        raise InputError(f"N cannot be counted by {count!r}", hint=nearest(count, SIZES))
    if present and count not in present:
        raise InputError(
            f"the table does not count {count}", hint=f"It has {' and '.join(present)}; choose one as count."
        )
    return count


def _numbers(table: Table, match: Match) -> Array:
    """Turn cells into numbers as they are given; absent ones become nan."""
    cells = table.columns[match.theirs]
    if isinstance(cells, np.ndarray):
        return cells
    if match.ours == "curve":
        return labels(cells)
    column = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        try:
            column[index] = number(cell, separator=table.separator)
        except InputError as error:
            raise InputError(
                f"{_where(table, match, index)}: {str(cell)[:40]!r} is not a number",
                hint=error.hint if isinstance(cell, str) else "Leave a cell empty where it is unknown.",
            ) from None
    return column


def _convert(table: Table, matches: Mapping[str, Match], numbers: dict[str, Array], units: Units) -> str:
    """Bring columns to base units in place, as asked or as their headers say; return what was done."""
    asked, rates = split_units(units)
    wanted = {ours: match.unit for ours, match in matches.items() if match.unit}
    for given, unit in asked.items():
        ours = resolve_ours(given) or given
        if ours not in numbers:
            raise InputError(
                f"{table.source} has no column {given!r} to convert", hint=nearest(ours, numbers)
            )
        wanted[ours] = unit
    for ours, unit in wanted.items():
        find_unit(ours, unit, rates)
    for ours, unit in wanted.items():
        scale_errors(numbers, ours, unit, rates, wanted)
        with np.errstate(all="ignore"):
            numbers[ours] = np.asarray(find_unit(ours, unit, rates).forward(numbers[ours]))
    done = {**wanted, **{name: units[name] for name in units if name not in asked}}
    return ",".join(f"{ours}={unit}" for ours, unit in done.items())


def _check_column(table: Table, match: Match, column: Array, *, gaps: bool) -> None:
    rows = impossible(match.ours, column, gaps=gaps)
    if not rows.size:
        return
    first = int(rows[0])
    kind = COLUMNS[match.ours].kind
    what = "is missing or not a number" if np.isnan(column[first]) else REFUSALS[kind]
    negative = match.ours == "loss" and not match.unit and column[first] < 0
    logged = " If the logarithm of the loss was taken, give units loss=log." if negative else ""
    raise InputError(
        f"{_where(table, match, first)}: {table.written(match.theirs, first)[:40]!r} {what}",
        hint=f"{rows.size} of {len(column)} rows are like this; correct or remove them.{logged}",
    )


def _where(table: Table, match: Match, index: int) -> str:
    ours = "" if match.theirs == match.ours else f" ({match.ours})"
    return f"{table.source}, {table.place} {table.places[index]}, column {match.theirs!r}{ours}"
