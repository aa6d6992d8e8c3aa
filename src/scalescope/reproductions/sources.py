"""Where the published tables lie, and how they are read; none of them is part of the package."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from scalescope.errors import InputError
from scalescope.points import Array
from scalescope.points.cells import Cells
from scalescope.points.tables import Table, open_document, read_table

VARIABLE = "SCALESCOPE_DATA"
"""Names the folder of tables when `--data` is not given."""


def data_folder(given: str | Path | None) -> Path:
    """Return the folder of published tables.

    Raises
    ------
    InputError
        If none was named, or it is not there.
    """
    named = given if given is not None else os.environ.get(VARIABLE)
    if named is None or str(named) == "":
        raise InputError(
            "no folder of published tables was named",
            hint=f"Give --data DIR or set {VARIABLE}; docs/reproductions.md says where they are published.",
        )
    folder = Path(named)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Check the path of --data.")
    return folder


def open_table(folder: Path, name: str, origin: str) -> Table:
    """Read one table of the folder as text.

    Raises
    ------
    InputError
        If it is absent; the hint says where it is published.
    """
    path = folder / name
    if not path.is_file():
        raise InputError(f"{folder} has no {name}", hint=f"It is published at {origin}.")
    return read_table(open_document(path))


def numbers(table: Table, column: str) -> Array:
    """One column as floats, shape (n_rows,); nan where a cell is empty.

    Raises
    ------
    InputError
        If the table has no such column, or a cell is no number.
    """
    cells = _cells(table, column)
    try:
        return np.array([float(cell) if cell not in (None, "") else np.nan for cell in cells])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{table.source}, column {column!r}: {error}", hint="Fetch the table again; it is damaged."
        ) from None


def words(table: Table, column: str) -> np.typing.NDArray[np.str_]:
    """One column as text, shape (n_rows,).

    Raises
    ------
    InputError
        If the table has no such column.
    """
    return np.array([str(cell) for cell in _cells(table, column)])


def _cells(table: Table, column: str) -> Cells:
    if column not in table.columns:
        raise InputError(f"{table.source} has no column {column!r}", hint="Is it the table that is meant?")
    return table.columns[column]
