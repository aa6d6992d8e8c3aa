"""How one file, or one data set, becomes documents: bytes in, an iterator of bytes out.

Nothing here holds more than one document, or one batch of rows, in memory. Readers count what they leave
out in a `Tally`, so that whoever asked can say so.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from scalescope.errors import InputError, MissingExtraError, nearest

Tally = Counter[str]
"""What was left out or changed: `binary`, `hidden`, `special`, `other`, `cut`, `rows`."""

PIECE_BYTES = 8 * 1024
"""The least size of a piece of a file that is cut; a document of its own."""
WHOLE_BYTES = 16 * 2**20
"""A file up to this size is one document; a longer one is cut, so that memory stays bounded."""
LINE_BYTES = 64 * 2**20
"""The longest line of a JSONL file."""
SNIFF_BYTES = 8 * 1024
BLOCK_BYTES = 1 << 20
TABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")

_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


def read_document_file(path: Path, tally: Tally, *, column: str, cut: bool) -> Iterator[bytes]:
    """Yield the documents of a file of any known kind: JSONL and Parquet by rows, else text.

    Parameters
    ----------
    path
        The file; a name that ends in `.gz` is decompressed on the way.
    tally
        Takes the counts of what was left out.
    column
        Where the text is in JSONL and Parquet.
    cut
        Whether a text file is many documents; else it is one, up to `WHOLE_BYTES`.
    """
    if path.name.endswith(".parquet"):
        yield from _read_parquet(path, tally, column)
    elif path.name.endswith(TABLE_SUFFIXES):
        yield from _read_jsonl(path, tally, column)
    else:
        yield from _read_text(path, tally, cut=cut)


def read_dataset(name: str, tally: Tally, *, column: str) -> Iterator[bytes]:
    """Yield the rows of the split `train` of a data set that the library `datasets` knows.

    Parameters
    ----------
    name
        `NAME`, `OWNER/NAME`, or either with `/CONFIG` after it.
    tally
        Takes the counts of what was left out.
    column
        Where the text is.
    """
    rows = _load_dataset(name)
    columns = list(rows.column_names)
    if column not in columns:
        raise InputError(
            f"data set {name} has no column {column!r}",
            hint=f"{nearest(column, columns)} Name it with the text-column option.",
        )
    for batch in rows.select_columns([column]).iter(batch_size=256):
        for value in batch[column]:
            yield from _row_text(value, f"data set {name}", column, tally)


def _load_dataset(name: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(
            "datasets", "datasets", what=f"{name} is no file or folder; to load a data set"
        ) from None
    datasets.disable_progress_bars()
    parts = name.split("/")
    attempts = [(name,), ("/".join(parts[:-1]), parts[-1])][: len(parts)]
    causes = []
    for attempt in attempts:
        try:
            return datasets.load_dataset(*attempt, split="train")
        except Exception as error:  # the library raises some twenty kinds for what is one case here
            causes.append(_one_line(error))
    raise InputError(
        f"data set {name} could not be loaded: {causes[len(parts) > 2]}",
        hint="Check its name, its split `train` and the network; or give a file or a folder.",
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong while reading a file into one line."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path} is truncated or damaged: {_one_line(error)}", hint="Fetch it or compress it again."
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or _one_line(error)}",
            hint="Check that it exists and may be read.",
        ) from None


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


def _read_text(path: Path, tally: Tally, *, cut: bool) -> Iterator[bytes]:
    with _reading(path), _open(path) as file:
        start = file.read(SNIFF_BYTES)
        if b"\0" in start:
            tally["binary"] += 1
            return
        if not cut:
            start = _extend(start, file, WHOLE_BYTES + 1)
            if len(start) <= WHOLE_BYTES:
                yield start
                return
        tally["cut"] += 1
        yield from _pieces(start, file)


def _extend(start: bytes, file: IO[bytes], n_bytes: int) -> bytes:
    """Read on up to about `n_bytes`, in blocks, since one large read sets all of its memory aside first."""
    blocks, size = [start], len(start)
    while size < n_bytes and (block := file.read(BLOCK_BYTES)):
        blocks.append(block)
        size += len(block)
    return b"".join(blocks)


def _pieces(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """Cut a stream at blank lines, else at line ends, else between characters."""
    buffer, at, ended = start, 0, False
    while not ended:
        block = file.read(BLOCK_BYTES)
        ended = not block
        buffer, at = buffer[at:] + block, 0
        while len(buffer) - at > (0 if ended else 4 * PIECE_BYTES):
            end = _border(buffer, at)
            yield buffer[at:end]
            at = end


def _border(buffer: bytes, at: int) -> int:
    """Where the piece that starts at `at` ends, at least one piece and at most four sizes further on."""
    least, most = at + PIECE_BYTES, at + 4 * PIECE_BYTES
    if len(buffer) < least + PIECE_BYTES:
        return len(buffer)
    if blank := _BLANK_LINE.search(buffer, least, most):
        return blank.end()
    if line := buffer.find(b"\n", least, most) + 1:
        return line
    end = min(most, len(buffer))
    while end > least and end < len(buffer) and buffer[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _read_jsonl(path: Path, tally: Tally, column: str) -> Iterator[bytes]:
    import msgspec

    decoder = msgspec.json.Decoder()
    n_rows = 0
    with _reading(path), _open(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES + 1), b""), start=1):
            where = f"{path}, line {number}"
            if len(line) > LINE_BYTES:
                raise InputError(f"{where} is longer than 64 MiB", hint="Write one row a line.")
            if line.isspace():
                continue
            try:
                row = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(
                    f"{where} is not JSON: {_one_line(error)}",
                    hint="Each line must be one JSON object; the file may be truncated.",
                ) from None
            if not isinstance(row, Mapping):
                raise InputError(f"{where} is not a JSON object", hint='Write rows as {"text": "..."}.')
            if n_rows == 0 and column not in row:
                _refuse_column(where, column, row)
            n_rows += 1
            yield from _row_text(row.get(column), where, column, tally)


def _read_parquet(path: Path, tally: Tally, column: str) -> Iterator[bytes]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    try:
        with _reading(path), parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            if column not in file.schema_arrow.names:
                _refuse_column(str(path), column, dict.fromkeys(file.schema_arrow.names))
            for batch in file.iter_batches(batch_size=256, columns=[column]):
                for value in batch.column(0).to_pylist():
                    yield from _row_text(value, str(path), column, tally)
    except pyarrow.ArrowException as error:
        raise InputError(
            f"{path} is not a whole Parquet file: {_one_line(error)}", hint="Fetch it or write it again."
        ) from None


def _refuse_column(where: str, column: str, columns: Mapping[str, object]) -> None:
    raise InputError(
        f"{where} has no column {column!r}",
        hint=f"{nearest(column, columns)} Name it with the text-column option.",
    )


def _row_text(value: object, where: str, column: str, tally: Tally) -> Iterator[bytes]:
    """Yield the text of a row as bytes; nothing, and a count, where the row has none."""
    if isinstance(value, str):
        yield value.encode("utf-8", errors="replace")
    elif isinstance(value, bytes):
        yield value
    elif value is None:
        tally["rows"] += 1
    else:
        raise InputError(
            f"{where}: column {column!r} holds {type(value).__name__}, not text",
            hint="Name the column that holds the text.",
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
