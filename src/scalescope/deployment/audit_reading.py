"""Tables of benchmark results from files: lengths in columns or in rows, Markdown pages, our own cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scalescope.deployment.audit_cells import Reading, read_cell
from scalescope.deployment.audit_columns import Column, guess_columns
from scalescope.deployment.audit_table import Amount, ResultRow, ResultTable, Run
from scalescope.errors import InputError
from scalescope.points import Cell, Cells, Workload, digest_of
from scalescope.points.bench_files import read_cells
from scalescope.points.documents import Document, open_document
from scalescope.points.tables import Table, read_object, read_table

_RAN = {"ok", "success", "succeeded", "passed", "pass", "done", "true", "yes", "1", "1.0", "completed", ""}


def read_results(path: str | Path, *, columns: Mapping[str, str] | None = None) -> ResultTable:
    """Read a table of results: CSV, TSV, JSON, JSONL, Parquet, a Markdown table, or our own cells.

    Parameters
    ----------
    path
        The file, or `-` for standard input.
    columns
        A column's name to a name that says it better, such as `{"A": "latency_ms_512"}`.

    Raises
    ------
    InputError
        If the file cannot be read, is no table, or its columns say too little.
    """
    document = _open(path)
    if (ours := _our_cells(document, path)) is not None:
        return results_of_cells(ours, source=document.source, digest=document.digest)
    table = read_table(document)
    return _results(table, guess_columns(table.columns, columns))


def _our_cells(document: Document, path: str | Path) -> Cells | None:
    """Return the cells, if the document is a bench of ours in any format."""
    head = document.content[: 1 << 16]
    flat = document.kind == ".csv" and b"traceback_digest" in head.split(b"\n", 1)[0]
    whole = document.kind == ".parquet" and b"scalescope.cells/" in document.content
    if not flat and not whole and b"scalescope.cells/" not in head:
        return None
    if str(path) != "-":
        return read_cells(path)
    data = read_object(document)
    return None if data is None else Cells.from_dict(data)


def _open(path: str | Path) -> Document:
    if not str(path).lower().endswith((".md", ".markdown")):
        return open_document(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}: {error}", hint="Check the path, and that it is text."
        ) from None
    content = _tsv_of_markdown(text)
    if not content:
        raise InputError(
            f"{Path(path).name} holds no table", hint="Expected rows such as | model | 512 tok/s |."
        )
    return Document(source=Path(path).name, kind=".tsv", content=content.encode())


def _tsv_of_markdown(text: str) -> str:
    """Turn the first table of a Markdown page into TSV; blank lines keep the numbers of the lines."""
    lines = text.splitlines()
    rule = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
    starts = (i for i, line in enumerate(lines) if i and "|" in line and rule.fullmatch(line))
    start = next((i for i in starts if "|" in lines[i - 1]), None)
    if start is None:
        return ""
    out = io.StringIO()
    out.write("\n" * (start - 1))
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(_markdown_cells(lines[start - 1]))
    out.write("\n")
    for line in lines[start + 1 :]:
        if "|" not in line:
            break
        writer.writerow(_markdown_cells(line))
    return out.getvalue()


def _markdown_cells(line: str) -> list[str]:
    return [cell.strip().strip("*`").strip() for cell in line.strip().strip("|").split("|")]


def _results(table: Table, columns: tuple[Column, ...]) -> ResultTable:
    cells = {column.theirs: list(table.columns[column.theirs]) for column in columns}
    columns = tuple(_with_its_cells(column, cells[column.theirs]) for column in columns)
    unreadable: list[str] = []
    rows = []
    for index, place in enumerate(table.places):
        row = [_read(column, cells[column.theirs][index]) for column in columns]
        if not _text(_only(row, "model")):
            continue
        for column, cell, reading in row:
            if reading.unreadable:
                unreadable.append(f"{table.place} {place}, {column.theirs}: {str(cell)[:40]!r}")
        rows.append(_row(int(place), row))
    if not rows:
        raise InputError(f"{table.source} has no row that names a model", hint="Map the column: NAME=model.")
    return ResultTable(
        source=table.source,
        digest=table.digest,
        place=table.place,
        columns=columns,
        rows=tuple(rows),
        unreadable=tuple(unreadable),
    )


_Read = Sequence[tuple[Column, Any, Reading]]
"""One row: every column with its cell as written and, unless it holds words, as read."""


def _read(column: Column, cell: Any) -> tuple[Column, Any, Reading]:
    return column, cell, _NOTHING if column.role in _WORDS else read_cell(cell)


_NOTHING = Reading()
_WORDS = {"model", "category", "dtype", "condition", "state", "ignored"}
"""Roles whose cells are words."""


def _with_its_cells(column: Column, cells: list[Any]) -> Column:
    """Ignore a column of figures that has none, such as one of `N/A` only."""
    if column.role not in ("rate", "latency", "memory", "memory part", "load", "flop rate"):
        return column
    readings = [read_cell(cell) for cell in cells]
    nothing = all(reading.value is None for reading in readings)
    never = {reading.failed.lower() for reading in readings if reading.failed} <= {"n/a", "na"}
    return replace(column, role="ignored", assumed="no figure in it") if nothing and never else column


def _row(place: int, row: _Read) -> ResultRow:
    return ResultRow(
        place=place,
        model=_text(_only(row, "model")),
        category=_text(_only(row, "category")),
        params=_positive(row, "params"),
        load_s=_positive(row, "load"),
        dtype=_text(_only(row, "dtype")).lower(),
        conditions=tuple(_text(cell) for column, cell, _ in row if column.role == "condition"),
        samples=_number(row, "samples"),
        memory=tuple(_memory(row)),
        percentiles={
            column.percent: value
            for column, _, reading in row
            if column.percent and (value := reading.times(column.factor)) is not None
        },
        runs=tuple(_runs(row)),
        written=tuple(_text(cell) for _, cell, _ in row),
    )


def _only(row: _Read, role: str) -> Any:
    return next((cell for column, cell, _ in row if column.role == role), None)


def _number(row: _Read, role: str) -> float | None:
    return next((reading.times(column.factor) for column, _, reading in row if column.role == role), None)


def _positive(row: _Read, role: str) -> float | None:
    value = _number(row, role)
    return value if value is not None and value > 0 else None


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def _memory(row: _Read) -> Iterator[Amount]:
    for column, cell, reading in row:
        size = reading.times(column.factor) if column.role in ("memory", "memory part") else None
        if size is not None:
            yield Amount(
                column=column.theirs,
                size=size,
                whole=column.role == "memory",
                negative_zero=size == 0 and _text(cell).startswith("-"),
            )


def _runs(row: _Read) -> Iterable[Run]:
    """Return one run for every length and series of the row: a rate, a latency, or why there is none."""
    length, batch = _positive(row, "length"), _positive(row, "batch") or 1.0
    state, runs = _state(row), dict[tuple[int | None, str], Run]()
    for column, _, reading in row:
        blank = reading.value is None and not reading.failed
        if column.role not in _SPEEDS or (column.percent or 50) != 50 or (blank and not state):
            continue
        where = column.length or (int(length) if length else None)
        run = _run(column, reading, where, column.batch or batch, state)
        first = runs.setdefault((where, column.series), run)
        if first is not run:
            runs[where, column.series] = replace(first, rate_again=run.tokens_per_s)
    if not runs and state and length:
        return [Run(length=int(length), batch=batch, failed=state)]
    return runs.values()


_SPEEDS = ("rate", "latency", "flop rate")


def _state(row: _Read) -> str:
    """Return the words of the column that says how a run ended; empty if it ended well."""
    for column, cell, _ in row:
        said = _text(cell)
        if column.role == "state" and said.lower() not in _RAN and said.lower() not in ("nan", "none"):
            return said
    return ""


def _run(column: Column, reading: Reading, length: int | None, batch: float, state: str) -> Run:
    value, failed = reading.times(column.factor), reading.failed or state
    if not failed and value is not None and value <= 0:
        failed = f"a figure of {value:g}"
    run = partial(Run, length=length, series=column.series, batch=batch)
    if failed or value is None:
        return run(failed=failed)
    tokens = batch * length if length else None
    if column.role == "flop rate":
        return run(flop_per_s=value)
    if column.per_token:
        return run(tokens_per_s=batch / value)
    if column.role == "latency":
        return run(seconds=value, tokens_per_s=tokens / value if tokens else None)
    if column.per_text and not length:
        return run()
    rate = value * length if column.per_text and length else value
    decodes = run().decodes
    return run(tokens_per_s=rate, seconds=tokens / rate if tokens and not decodes else None)


def results_of_cells(cells: Cells, *, source: str = "", digest: str = "") -> ResultTable:
    """Take our own cells as a table of results; those that were not tried are left out."""
    tried = [cell for cell in cells if cell.state not in ("not_applicable", "skipped")]
    rows = tuple(_row_of_cell(i, cell) for i, cell in enumerate(tried, 1))
    text = repr([row.written for row in rows]).encode()
    return ResultTable(
        source=source or cells.title, digest=digest or digest_of(text), place="cell", rows=rows
    )


def _row_of_cell(place: int, cell: Cell) -> ResultRow:
    decode = cell.workload.kind == "decode"
    run = Run(
        length=cell.workload.length,
        series=cell.workload.kind,
        batch=float(cell.workload.batch),
        seconds=None if decode or cell.timing is None else cell.timing.median,
        tokens_per_s=cell.tokens_per_s,
        flop=cell.flop,
        failed="" if cell.ok else cell.state,
    )
    peak = cell.memory.peak if cell.memory else None
    return ResultRow(
        place=place,
        model=cell.model,
        category=cell.category,
        params=cell.params,
        load_s=cell.load.total_s if cell.load else None,
        dtype=cell.dtype,
        conditions=(
            cell.attention,
            cell.device,
            str(cell.compiled),
            str(cell.threads),
            *_asked(cell.workload),
        ),
        samples=len(cell.timing.samples) if cell.timing else None,
        memory=() if peak is None else (Amount(column="memory.peak", size=float(peak)),),
        percentiles={},
        runs=(run,),
        written=(cell.key, str(cell.started), str(run)),
    )


def _asked(work: Workload) -> tuple[str, ...]:
    return (work.task, work.kind, work.batching, str(work.head), str(work.new_tokens))
