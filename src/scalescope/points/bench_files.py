"""Cells to a file and back: CSV, JSON, JSONL or Parquet by its extension, whole or not at all.

JSON, JSONL and Parquet keep everything. CSV is flat, one row per cell with the raw samples as JSON text; it
has no place for what belongs to the bench as a whole: machine, command, findings.
"""

from __future__ import annotations

import csv
import io
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from scalescope.errors import InputError, MissingExtraError
from scalescope.points.bench import PERCENTILE_SAMPLES, Cell, Cells
from scalescope.points.documents import Document, open_document
from scalescope.points.files import replacing
from scalescope.points.findings import Finding
from scalescope.points.results import from_plain, to_plain

Row = dict[str, Any]

_META = b"scalescope"
"""Where Parquet keeps what belongs to the bench as a whole."""


def _parts() -> dict[str, type]:
    """Fields of a cell that are dataclasses themselves."""
    hints = typing.get_type_hints(Cell)
    inner = {
        name: next((kind for kind in (hint, *typing.get_args(hint)) if is_dataclass(kind)), None)
        for name, hint in hints.items()
    }
    return {name: kind for name, kind in inner.items() if isinstance(kind, type)}


PARTS: Mapping[str, Any] = _parts()
"""Field of a cell to its dataclass; their fields become columns with the field as prefix."""

NESTED: Mapping[str, tuple[str, str]] = {
    (one.name if name == "workload" else f"{name}_{one.name}"): (name, one.name)
    for name, kind in PARTS.items()
    for one in fields(kind)
}
"""Flat column to field and field of that; those of the workload have no prefix."""

OWN: tuple[str, ...] = tuple(one.name for one in fields(Cell) if one.name not in PARTS)
"""Flat columns that are fields of the cell itself."""

PERCENTILES = {f"seconds_p{percent}": percent for percent in PERCENTILE_SAMPLES if percent != 50}
DERIVED = ("tokens_per_s", "seconds", *PERCENTILES)
"""Columns for the reader of a table; computed again when it is read."""


def _hint(column: str) -> str:
    """Type of the field behind a flat column, as text."""
    name, inner = NESTED.get(column, ("", column))
    return str(typing.get_type_hints(PARTS[name] if name else Cell)[inner])


LISTS: tuple[str, ...] = tuple(one for one in (*OWN, *NESTED) if _hint(one).startswith("tuple"))
"""Columns with a list in each row."""


def write_cells(cells: Cells, path: str | Path) -> Path:
    """Write cells so that `read_cells` gives the same numbers, to the last bit.

    Raises
    ------
    InputError
        If the extension is unknown.
    MissingExtraError
        If Parquet is asked for and pyarrow is not installed.
    WorkError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(
            f"cannot write cells as {path.suffix or path.name!r}", hint=f"Known: {', '.join(_WRITERS)}."
        )
    with replacing(path) as part:
        writer(cells, part)
    return path


def read_cells(path: str | Path) -> Cells:
    """Read what `write_cells` wrote; compressed with gzip or xz too, and from standard input for `-`.

    Raises
    ------
    InputError
        If the file is absent, truncated, of an unknown kind, or holds something else than cells.
    """
    document = open_document(path)
    reader = _READERS.get(document.kind)
    if reader is None:
        raise InputError(
            f"cannot read cells from {document.kind} ({document.source})",
            hint=f"Known: {', '.join(_READERS)}.",
        )
    return reader(document)


def flat_row(cell: Cell) -> Row:
    """Spread one cell over plain columns, base units, None where there is nothing."""
    plain: Row = msgspec.to_builtins(cell)
    row: Row = {name: plain[name] for name in OWN}
    for column, (name, inner) in NESTED.items():
        row[column] = None if plain[name] is None else plain[name][inner]
    timed = cell.timing is not None and len(cell.timing.samples) > 0
    row["tokens_per_s"] = cell.tokens_per_s if timed else None
    row["seconds"] = cell.timing.median if timed and cell.timing else None
    for column, percent in PERCENTILES.items():
        row[column] = cell.timing.percentile(percent) if timed and cell.timing else None
    return {"model": row.pop("model"), **row}


def _nested(row: Mapping[str, Any]) -> Row:
    """Undo `flat_row`; a part without any value was not there."""
    known = {name: row[name] for name in OWN if row.get(name) is not None}
    for column, (name, inner) in NESTED.items():
        if row.get(column) is not None:
            known.setdefault(name, {})[inner] = row[column]
    return known


def _cells_of(rows: Iterable[Row], document: Document, bench: Mapping[str, Any]) -> Cells:
    plain = {"schema": Cells.schema, **bench, "cells": list(rows)}
    try:
        return from_plain(Cells, plain, Cells.schema)
    except InputError as error:
        raise InputError(f"{document.source}: {error}", hint=error.hint) from None


def _bench_of(cells: Cells) -> Row:
    return {name: value for name, value in to_plain(cells.only(()), Cells.schema).items() if name != "cells"}


def _write_json(cells: Cells, path: Path) -> None:
    path.write_text(json.dumps(cells.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(document: Document) -> Cells:
    data = _object(document.content, document.source)
    found = data.get("schema")
    if found != Cells.schema:
        raise _foreign(document, f"its schema is {found!r}" if found else "it has no schema")
    return _cells_of(data["cells"], document, _but_cells(data)) if "cells" in data else _missing(document)


def _but_cells(data: Mapping[str, Any]) -> Row:
    return {name: value for name, value in data.items() if name != "cells"}


def _missing(document: Document) -> Cells:
    raise _foreign(document, "it has no cells")


def _write_jsonl(cells: Cells, path: Path) -> None:
    plain = cells.to_dict()
    with path.open("w", encoding="utf-8") as stream:
        for line in ({**plain, "cells": len(cells)}, *plain["cells"]):
            stream.write(json.dumps(line, allow_nan=False) + "\n")


def _read_jsonl(document: Document) -> Cells:
    lines = [line for line in document.content.splitlines() if line.strip()]
    head = _object(lines[0], f"{document.source}, line 1")
    if head.get("schema") != Cells.schema:
        if len(lines) > 1 and lines[0].strip() == b"{":
            return _read_json(document)
        raise _foreign(document, "its first line is not the head of a bench")
    if not isinstance(head.get("cells"), int):
        return _read_json(document)
    rows = [_object(line, f"{document.source}, line {n}") for n, line in enumerate(lines[1:], start=2)]
    if len(rows) != head["cells"]:
        raise InputError(
            f"{document.source} holds {len(rows)} of {head['cells']} cells", hint="It may be truncated."
        )
    return _cells_of(rows, document, _but_cells(head))


def _object(content: bytes, source: str) -> Row:
    try:
        data = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source} is not JSON: {error}", hint="It may be truncated.") from None
    if not isinstance(data, dict):
        raise InputError(f"{source} is not a bench", hint="Expected a JSON object with a schema key.")
    return data


def _write_csv(cells: Cells, path: Path) -> None:
    header = ["model", *(name for name in OWN if name != "model"), *NESTED, *DERIVED]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for cell in cells:
            row = flat_row(cell)
            writer.writerow([_spell(row[name]) for name in header])


def _spell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return json.dumps(value) if value else ""
    return repr(value) if isinstance(value, float) else str(value)


def _read_csv(document: Document) -> Cells:
    try:
        text = document.content.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{document.source} is not CSV: {error}", hint="It may be truncated.") from None
    if not text.endswith("\n"):
        raise InputError(f"{document.source} ends in the middle of a row", hint="It may be truncated.")
    header, rows = (lines or [[]])[0], [line for line in lines[1:] if line]
    _check_columns(header, document)
    bad = next((n for n, line in enumerate(rows, start=2) if len(line) != len(header)), None)
    if bad is not None:
        raise InputError(
            f"{document.source}, row {bad}: not {len(header)} columns", hint="It may be truncated."
        )
    spread = (_typed(dict(zip(header, line, strict=True)), document, n) for n, line in enumerate(rows, 2))
    cells = _cells_of([_nested(row) for row in spread], document, {})
    return replace(cells, title=Path(document.source).stem, findings=(_no_machine(document),))


def _typed(row: Mapping[str, str], document: Document, number: int) -> Row:
    """Turn lists back from JSON and leave out what is empty; numbers are read by the decoder."""
    typed: Row = {name: text for name, text in row.items() if text != ""}
    try:
        return typed | {name: json.loads(typed[name]) for name in LISTS if name in typed}
    except json.JSONDecodeError as error:
        raise InputError(
            f"{document.source}, row {number}: samples are not a JSON list: {error}",
            hint="It may be truncated.",
        ) from None


def _check_columns(header: Iterable[str], document: Document) -> None:
    missing = [name for name in ("model", "length", "state") if name not in header]
    if missing:
        raise _foreign(document, f"it lacks the column {', '.join(missing)}")


def _no_machine(document: Document) -> Finding:
    return Finding(
        code="BEN066",
        text=f"{document.source} carries no machine, as CSV has no place for it.",
        hint="Read cells.json or Parquet where ceilings, memory and libraries matter.",
    )


def _write_parquet(cells: Cells, path: Path) -> None:
    pyarrow = _pyarrow()
    rows = [flat_row(cell) for cell in cells]
    names = ["model", *(name for name in OWN if name != "model"), *NESTED, *DERIVED]
    columns = {name: pyarrow.array([row[name] for row in rows], type=_arrow(pyarrow, name)) for name in names}
    table = pyarrow.table(columns).replace_schema_metadata({_META: json.dumps(_bench_of(cells)).encode()})
    pyarrow.parquet.write_table(table, path)


def _arrow(pyarrow: Any, column: str) -> Any:
    """Choose the type of a column by the field, so that a column without values has one too."""
    hint = _hint(column) if column not in DERIVED else "float"
    if column in LISTS:
        inner = "string" if "str" in hint else "int64" if "int" in hint else "float64"
        return pyarrow.list_(getattr(pyarrow, inner)())
    for word, kind in (("bool", "bool_"), ("float", "float64"), ("int", "int64")):
        if word in hint and "Literal" not in hint:
            return getattr(pyarrow, kind)()
    return pyarrow.string()


def _read_parquet(document: Document) -> Cells:
    pyarrow = _pyarrow()
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(document.content))
        rows = table.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{document.source} is not Parquet: {cause}", hint="It may be truncated.") from None
    meta = (table.schema.metadata or {}).get(_META)
    if meta is None:
        raise _foreign(document, "it does not say that it is a bench")
    return _cells_of([_nested(row) for row in rows], document, _object(meta, document.source))


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    return pyarrow


def _foreign(document: Document, why: str) -> InputError:
    return InputError(
        f"{document.source} does not hold cells of a bench: {why}",
        hint="Give the cells.json that `scalescope bench --out` wrote, or its CSV or Parquet.",
    )


_WRITERS: dict[str, Callable[[Cells, Path], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
_READERS: dict[str, Callable[[Document], Cells]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
