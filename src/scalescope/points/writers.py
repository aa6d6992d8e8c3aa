"""Runs to a file: CSV, JSON, JSONL or Parquet by its extension, whole or not at all."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scalescope.errors import InputError, MissingExtraError, WorkError
from scalescope.points.runs import Runs

_BLOCK = 10_000
"""Rows that are spelled at once."""
_NEXT_STEP = {
    errno.ENOSPC: "Free some space, or write elsewhere.",
    errno.EDQUOT: "Free some space, or write elsewhere.",
    errno.EFBIG: "Free some space, or write elsewhere.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENOENT: "Make the folder first.",
    errno.ENOTDIR: "Make the folder first.",
    errno.EISDIR: "It is a folder; give a file name in it.",
}


def write_runs(runs: Runs, path: str | Path) -> Path:
    """Write runs so that `read_runs` gives the same numbers, to the last bit.

    JSON keeps everything: names, count, findings, provenance. CSV, JSONL and Parquet keep names and columns.
    The file appears under its name only when it is complete.

    Raises
    ------
    InputError
        If the extension is unknown.
    WorkError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(
            f"cannot write runs as {path.suffix or path.name!r}", hint=f"Known: {', '.join(_WRITERS)}."
        )
    with replacing(path) as part:
        writer(runs, part)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; rename it when the block ends, remove it if it fails.

    A device, a pipe or a terminal, such as `/dev/stdout`, is written to itself: renaming would take its
    place. A link stays, and what it points to is replaced.

    Raises
    ------
    WorkError
        If the operating system refuses; what stood at `path` before is then still there.
    """
    try:
        place = path.resolve() if path.is_symlink() else path
        whole = place.is_file() or place.is_dir() or not path.exists()
        part = place.with_name(place.name + ".part") if whole else path
    except (OSError, RuntimeError) as error:
        raise _refused(path, error) from error
    try:
        yield part
        if whole:
            part.replace(place)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if whole:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _refused(path: Path, error: OSError | RuntimeError) -> WorkError:
    number = error.errno if isinstance(error, OSError) else None
    cause = error.strerror if isinstance(error, OSError) else None
    hint = _NEXT_STEP.get(number or 0, "Write elsewhere.")
    return WorkError(f"cannot write {path}: {cause or error}", hint=hint)


def _write_csv(runs: Runs, path: Path) -> None:
    header = (["name"] if runs.names else []) + list(runs.columns)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for start in range(0, len(runs), _BLOCK):
            part = slice(start, start + _BLOCK)
            cells = [list(map(_spell, column[part].tolist())) for column in runs.columns.values()]
            writer.writerows(zip(*([runs.names[part]] if runs.names else []), *cells, strict=True))


def _write_jsonl(runs: Runs, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in runs.rows())


def _write_json(runs: Runs, path: Path) -> None:
    path.write_text(json.dumps(runs.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_parquet(runs: Runs, path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    columns: dict[str, Any] = {"name": list(runs.names)} if runs.names else {}
    pyarrow.parquet.write_table(pyarrow.table(columns | dict(runs.columns)), path)


def _spell(value: float) -> str:
    """Write so that reading gives the same bits: whole numbers without a point, gaps as nothing."""
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


_WRITERS: dict[str, Callable[[Runs, Path], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
