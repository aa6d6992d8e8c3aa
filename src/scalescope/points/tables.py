"""Documents as tables of cells, before anyone asks what the columns mean: CSV, TSV, JSON, JSONL, Parquet.

Rows are taken in blocks, and a block of a column that holds plain numbers is kept as floats at once, so that
a table of a million rows needs little more than its numbers. Everything else stays as it was written.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from scalescope.errors import InputError, MissingExtraError
from scalescope.points.cells import Cells, Pile
from scalescope.points.documents import EXTENSIONS, JSON, Document, open_document

__all__ = ["EXTENSIONS", "Document", "Table", "open_document", "read_object", "read_table"]

Keep = Callable[[Sequence[str]], Collection[str]]
"""Which of the columns stay text although they may look like numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as they were written (text, numbers, None) or plain numbers, and where each row was."""

    source: str
    digest: str
    """SHA-256 of the bytes."""
    columns: Mapping[str, Cells]
    places: Sequence[int]
    """Number of each row, for messages."""
    place: str = "line"
    """What `places` counts: lines of a file, or rows."""
    separator: str = ","
    """Between the cells; where it is no comma, a comma in a number may be a decimal one."""
    document: Document | None = None
    """Where cells that became numbers can be looked up as they were written."""

    def written(self, name: str, index: int) -> str:
        """One cell as it stands in the document."""
        column = self.columns[name]
        if not isinstance(column, np.ndarray):
            return str(column[index])
        if self.document is not None and self.document.kind in (".csv", ".tsv"):
            where = list(self.columns).index(name)
            _, row = next(islice(_csv_rows(self.document, self.separator), index + 1, None))
            return row[where]
        cell = float(column[index])
        return str(int(cell)) if cell.is_integer() else str(cell)


def read_table(document: Document, *, keep: Keep | None = None) -> Table:
    """Take a document apart into columns of cells.

    Parameters
    ----------
    document
        The content.
    keep
        Which columns stay text; the others become floats where they can. By default every cell stays as it
        was written.

    Raises
    ------
    InputError
        If it is broken or has no rows; the message names the line.
    """
    table = _READERS[document.kind](document, keep)
    if not table.columns or not len(table.places):
        raise InputError(f"{document.source} has no rows", hint="It needs a header and one row a run.")
    return table


def _table(document: Document, columns: Mapping[str, Cells], places: Sequence[int], **more: str) -> Table:
    return Table(
        source=document.source,
        digest=document.digest,
        columns=columns,
        places=places,
        document=document,
        **more,
    )


def _read_csv(document: Document, keep: Keep | None) -> Table:
    separator = _separator(document)
    return _read_regular_csv(document, separator, keep) or _read_any_csv(document, separator, keep)


def _read_regular_csv(document: Document, separator: str, keep: Keep | None) -> Table | None:
    """Read a file of one line a row whole blocks at a time; None where a line is unlike the others."""
    reader = csv.reader(_lines(document, newline=""), delimiter=separator, strict=True)
    try:
        header = _header(next(reader, []), document.source)
        if reader.line_num != 1 or not any(header):
            return None
        pile = Pile(header, keep(header) if keep else header)
        while rows := list(islice(reader, Pile.BLOCK)):
            if set(map(len, rows)) != {len(header)}:
                return None
            columns = list(zip(*rows, strict=True))
            if not all(map(str.strip, columns[0])) and not all("".join(row).strip() for row in rows):
                return None
            pile.add(columns)
    except (csv.Error, UnicodeDecodeError):
        return None
    places = range(2, reader.line_num + 1)
    if len(places) != pile.length:
        return None
    return _table(document, pile.columns(), places, separator=separator)


def _read_any_csv(document: Document, separator: str, keep: Keep | None) -> Table:
    rows = _csv_rows(document, separator)
    _, header = next(rows, (0, []))
    pile, lines = Pile(header, keep(header) if keep else header), array("q")
    while block := list(islice(rows, Pile.BLOCK)):
        lines.extend(line for line, _ in block)
        pile.add(zip(*(row for _, row in block), strict=True))
    return _table(document, pile.columns(), lines, separator=separator)


def _separator(document: Document) -> str:
    first = document.content.split(b"\n", 1)[0]
    if document.kind == ".tsv":
        return "\t"
    return max("\t;,|", key=lambda mark: first.count(mark.encode()))


def _csv_rows(document: Document, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of the header and of every row; blank lines are left out."""
    reader = csv.reader(_lines(document, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not "".join(row).strip():
                continue
            if not header:
                header = _header(row, document.source)
                yield start, header
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{document.source}, line {start}: {len(row)} cells under {len(header)} columns",
                    hint=f"The cells are separated by {separator!r}; quote a cell that holds one.",
                )
            yield start, row
    except csv.Error as error:
        raise InputError(f"{document.source}, line {line}: {error}", hint="Check its quotes.") from None
    except UnicodeDecodeError:
        raise _not_utf8(document) from None


def _header(row: list[str], source: str) -> list[str]:
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InputError(f"{source} has two columns called {twice[0]!r}", hint="Rename or remove one.")
    # Spreadsheets and data frames write their row numbers under an empty name.
    return [name or f"column {i + 1}" for i, name in enumerate(names)]


def _read_jsonl(document: Document, keep: Keep | None) -> Table:
    def rows() -> Iterator[tuple[int, Any]]:
        try:
            for line, text in enumerate(_lines(document, newline="\n"), 1):
                if text.strip():
                    yield line, _parse_json(text, f"{document.source}, line {line}")
        except UnicodeDecodeError:
            raise _not_utf8(document) from None

    return _from_objects(document, rows(), "line", keep)


def _read_json(document: Document, keep: Keep | None) -> Table:
    text = _text(document)
    if text.lstrip().startswith("{") and read_object(document) is None:
        return _read_jsonl(document, keep)
    data = _parse_json(text, document.source)
    if not isinstance(data, list):
        raise InputError(
            f"{document.source} does not hold a list of runs",
            hint="Expected [{...}, {...}]; take nested results apart into one flat row a run.",
        )
    return _from_objects(document, enumerate(data, 1), "row", keep)


def read_object(document: Document) -> dict[str, Any] | None:
    """Return the one JSON object that is the whole document; None if it is something else."""
    if document.kind not in JSON or document.content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"{":
        return None
    try:
        data = json.loads(_text(document))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _parse_json(text: str, where: str) -> Any:
    try:
        return msgspec.json.decode(text)  # the fast one, which knows no NaN
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}", hint="It may be truncated.") from None


def _from_objects(
    document: Document, rows: Iterator[tuple[int, Any]], place: str, keep: Keep | None
) -> Table:
    pile, places = Pile(), array("q")
    while block := list(islice(rows, Pile.BLOCK)):
        for where, row in block if set(map(type, (row for _, row in block))) != {dict} else ():
            if not isinstance(row, dict):
                raise InputError(
                    f"{document.source}, {place} {where}: not an object", hint='Expected {"params": ...}.'
                )
        pile.name(dict.fromkeys(key for _, row in block for key in row), keep)
        pile.add([row.get(name) for _, row in block] for name in pile.names)
        places.extend(where for where, _ in block)
    return _table(document, pile.columns(), places, place=place)


def _read_parquet(document: Document, keep: Keep | None) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(document.content))
        kept = keep(table.column_names) if keep else table.column_names
        columns: dict[str, Cells] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            plain = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
            if plain and name not in kept:
                columns[name] = np.asarray(column.to_numpy(), dtype=np.float64)
            else:
                columns[name] = column.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{document.source} is not Parquet: {cause}", hint="It may be truncated.") from None
    return _table(document, columns, range(1, table.num_rows + 1), place="row")


_READERS: dict[str, Callable[[Document, Keep | None], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _lines(document: Document, newline: str) -> io.TextIOWrapper:
    _refuse_binary(document)
    return io.TextIOWrapper(io.BytesIO(document.content), encoding="utf-8-sig", newline=newline)


def _text(document: Document) -> str:
    _refuse_binary(document)
    try:
        return document.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _not_utf8(document) from None


def _refuse_binary(document: Document) -> None:
    if b"\0" in document.content:
        wide = document.content[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "It is UTF-16; save it as UTF-8." if wide else f"Known: {', '.join(EXTENSIONS)}."
        raise InputError(f"{document.source} is binary", hint=hint)


def _not_utf8(document: Document) -> InputError:
    try:
        document.content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = document.content[: error.start].count(b"\n") + 1
        return InputError(f"{document.source}, line {line}: not UTF-8 text", hint="Save it as UTF-8.")
    return InputError(f"{document.source} is not UTF-8 text", hint="Save it as UTF-8.")
