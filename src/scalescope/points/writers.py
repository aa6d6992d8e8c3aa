"""Runs to a file: CSV, JSON, JSONL or Parquet by its extension, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalescope.errors import InputError, MissingExtraError
from scalescope.points.files import replacing
from scalescope.points.runs import Runs

_BLOCK = 10_000
"""Rows that are spelled at once."""


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
