"""Files as tables of cells, before anyone asks what the columns mean: CSV, TSV, JSON, JSONL, Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalescope.errors import InputError, MissingExtraError, nearest
from scalescope.points.provenance import digest_of

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""What is read; each also with `.gz` behind."""

_JSON = {".json", ".jsonl", ".ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as they were written (text, numbers, None) and where each row was."""

    source: str
    digest: str
    """SHA-256 of the bytes."""
    columns: dict[str, list[Any]]
    places: Sequence[int]
    """Number of each row, for messages."""
    place: str = "line"
    """What `places` counts: lines of a file, or rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The content of a file or of standard input, not yet taken apart."""

    source: str
    kind: str
    """One of `EXTENSIONS`."""
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return digest_of(self.content)


def open_document(path: str | Path) -> Document:
    """Read a file whole, or standard input for `-`, and decide what kind it is.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or its content contradicts its name.
    """
    if str(path) == "-":
        content = sys.stdin.buffer.read()
        return Document(
            source="standard input", kind=_kind_of(content) or ".csv", content=_some(content, "-")
        )
    path = Path(path)
    content, name = _read_bytes(path), path.name.lower()
    if name.endswith(".gz"):
        content, name = _unzip(content, path.name), name.removesuffix(".gz")
    kind = Path(name).suffix
    if kind not in EXTENSIONS:
        raise InputError(
            f"{path.name} is not a table: its name ends in {kind or 'nothing'!r}",
            hint=f"Known: {', '.join(EXTENSIONS)}.",
        )
    looks = _kind_of(_some(content, path.name))
    if looks is not None and looks != kind and not {looks, kind} <= _JSON:
        raise InputError(
            f"{path.name} does not hold {kind[1:].upper()}",
            hint=f"Its content looks like {looks[1:].upper()}; name it accordingly.",
        )
    return Document(source=path.name, kind=kind, content=content)


def read_table(document: Document) -> Table:
    """Take a document apart into columns of cells.

    Raises
    ------
    InputError
        If it is broken or has no rows; the message names the line.
    """
    columns, places, place = _READERS[document.kind](document)
    if not columns or not len(places):
        raise InputError(f"{document.source} has no rows", hint="It needs a header and one row a run.")
    return Table(source=document.source, digest=document.digest, columns=columns, places=places, place=place)


_Cells = tuple[dict[str, list[Any]], Sequence[int], str]


def _read_csv(document: Document) -> _Cells:
    text = _text(document)
    first = text.split("\n", 1)[0]
    separator = max("\t;,", key=first.count) if document.kind == ".csv" else "\t"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = _header(row, document.source)
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{document.source}, line {start}: {len(row)} cells under {len(header)} columns",
                    hint=f"The cells are separated by {separator!r}; quote a cell that holds one.",
                )
            rows.append(row)
            lines.append(start)
    except csv.Error as error:
        raise InputError(f"{document.source}, line {line}: {error}", hint="Check its quotes.") from None
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}, lines, "line"


def _header(row: list[str], source: str) -> list[str]:
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InputError(f"{source} has two columns called {twice[0]!r}", hint="Rename or remove one.")
    # Spreadsheets and data frames write their row numbers under an empty name.
    return [name or f"column {i + 1}" for i, name in enumerate(names)]


def _read_jsonl(document: Document) -> _Cells:
    rows: list[Any] = []
    lines: list[int] = []
    for line, text in enumerate(_text(document).split("\n"), 1):
        if text.strip():
            rows.append(_parse_json(text, f"{document.source}, line {line}"))
            lines.append(line)
    return _from_objects(rows, lines, document.source, "line")


def _read_json(document: Document) -> _Cells:
    text = _text(document)
    if text.lstrip().startswith("{") and read_object(document) is None:
        return _read_jsonl(document)
    data = _parse_json(text, document.source)
    if not isinstance(data, list):
        raise InputError(f"{document.source} does not hold a list of runs", hint="Expected [{...}, {...}].")
    return _from_objects(data, range(1, len(data) + 1), document.source, "row")


def read_object(document: Document) -> dict[str, Any] | None:
    """Return the one JSON object that is the whole document; None if it is something else."""
    if document.kind not in _JSON or document.content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"{":
        return None
    try:
        data = json.loads(_text(document))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}", hint="It may be truncated.") from None


def _from_objects(rows: list[Any], places: Sequence[int], source: str, place: str) -> _Cells:
    for where, row in zip(places, rows, strict=True):
        if not isinstance(row, dict):
            raise InputError(f"{source}, {place} {where}: not an object", hint='Expected {"params": ...}.')
    names = dict.fromkeys(key for row in rows for key in row)
    return {name: [row.get(name) for row in rows] for name in names}, places, place


def _read_parquet(document: Document) -> _Cells:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(document.content))
        columns = dict(zip(table.column_names, (column.to_pylist() for column in table.columns), strict=True))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{document.source} is not Parquet: {cause}", hint="It may be truncated.") from None
    return columns, range(1, table.num_rows + 1), "row"


_READERS: dict[str, Callable[[Document], _Cells]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = nearest(path.name, _neighbours(path)) if _neighbours(path) else "Check the path."
        raise InputError(f"no such file: {path}", hint=hint) from None
    except IsADirectoryError:
        hint = f"It holds {', '.join(sorted(_neighbours(path / 'x')))}." if _neighbours(path / "x") else ""
        raise InputError(f"{path} is a folder, not a table", hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {path}: {cause}", hint="Check its permissions.") from None


def _neighbours(path: Path) -> list[str]:
    """Tables in the same folder, to suggest."""
    try:
        found: Iterable[Path] = sorted(path.parent.iterdir())[:200]
    except OSError:
        return []
    return [entry.name for entry in found if entry.suffix in EXTENSIONS]


def _unzip(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is not gzip: {error}", hint="It may be truncated.") from None


def _some(content: bytes, name: str) -> bytes:
    if not content.strip():
        raise InputError(f"{'standard input' if name == '-' else name} is empty", hint="Give it runs.")
    return content


def _kind_of(content: bytes) -> str | None:
    """Tell JSON and Parquet by their first bytes; None for everything else."""
    if content.startswith(b"PAR1"):
        return ".parquet"
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": ".jsonl", b"[": ".json"}.get(start)


def _text(document: Document) -> str:
    if b"\0" in document.content:
        raise InputError(f"{document.source} is binary", hint=f"Known: {', '.join(EXTENSIONS)}.")
    try:
        return document.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = document.content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{document.source}, line {line}: not UTF-8 text", hint="Save it as UTF-8."
        ) from None
