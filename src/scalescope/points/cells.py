"""Cells of a table as numbers: blocks of plain numbers at once, odd cells one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError
from scalescope.points.estimates import Array
from scalescope.units import SUFFIXES, parse_number

Cells = Array | list[Any]
"""One column: plain numbers, or cells as they were written (text, numbers, None)."""

_BLANK = {"nan", "NaN", "NA", "N/A", "null", "None"}
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}
_TRUTH = {"true": 1.0, "false": 0.0}
_ONE_COMMA = re.compile(r"\s*[+-]?[0-9]{1,3},[0-9]{3}(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


class Pile:
    """Columns under construction, block by block."""

    BLOCK: ClassVar[int] = 256
    """Rows; few enough that their cells stay in the cache of the processor."""

    def __init__(self, names: Iterable[str] = (), text: Collection[str] = ()) -> None:
        self.names: list[str] = []
        self._parts: dict[str, list[Cells]] = {}
        self._text = set(text)
        self.length = 0
        self._begin(names)

    def name(self, found: Iterable[str], keep: Callable[[Sequence[str]], Collection[str]] | None) -> None:
        """Add columns that occur for the first time; rows before have nothing in them."""
        new = [name for name in found if name not in self._parts]
        self._begin(new)
        if new:
            self._text = set(self.names if keep is None else keep(self.names))

    def _begin(self, names: Iterable[str]) -> None:
        for name in names:
            self.names.append(name)
            self._parts[name] = [[None] * self.length] if self.length else []

    def add(self, columns: Iterable[Sequence[Any]]) -> None:
        """Add one block of rows, given as one sequence of cells a column, in the order of `names`."""
        length = 0
        for name, cells in zip(self.names, columns, strict=True):
            self._parts[name].append(list(cells) if name in self._text else compact(cells))
            length = len(cells)
        self.length += length

    def columns(self) -> Mapping[str, Cells]:
        """Return the finished columns."""
        return {name: _joined(parts) for name, parts in self._parts.items()}


def _joined(parts: list[Cells]) -> Cells:
    if parts and all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return [cell for part in parts for cell in (part.tolist() if isinstance(part, np.ndarray) else part)]


def compact(cells: Sequence[Any]) -> Cells:
    """Turn cells into floats where all are plain numbers or blank; else leave them as they are."""
    kinds = set(map(type, cells))
    try:
        if kinds <= {str}:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
        elif kinds <= {int, float, type(None)}:
            values = np.array(cells, dtype=np.float64)
        else:
            return list(cells)
    except ValueError:
        return _suffixed(cells)
    except OverflowError:
        return list(cells)
    # "inf" is a word and 1e999 a number: which it was, only the text tells.
    return list(cells) if np.isinf(values).any() else values


def _suffixed(cells: Sequence[Any]) -> Cells:
    """Like `compact` for text with blanks or suffixes in it."""
    try:
        values = np.array(
            [
                math.nan
                if not cell or cell in _BLANK
                else float(cell)
                if cell[-1] not in SUFFIXES
                else float(cell[:-1]) * SUFFIXES[cell[-1]]
                for cell in cells
            ]
        )
    except ValueError:
        return list(cells)
    # "nanB" and the like are no numbers.
    words = np.isinf(values).any() or any("n" in cell.lower() and cell not in _BLANK for cell in cells)
    return list(cells) if words else values


def number(cell: Any, *, separator: str = ",") -> float:
    """One cell as a number; nan where it is blank.

    Parameters
    ----------
    cell
        As it was written.
    separator
        Between the cells of the table. Where it is no comma, `2,345` may mean 2.345 or 2345 and is refused.

    Raises
    ------
    InputError
        If it is no number; the hint says how to write it.
    """
    if cell is None:
        return math.nan
    if not isinstance(cell, str):
        return _plain(cell)
    plain = cell.strip().lower()
    if plain in _MISSING:
        return math.nan
    if separator != "," and _ONE_COMMA.fullmatch(cell):
        raise InputError(
            f"{cell.strip()!r} may be {cell.strip().replace(',', '.')} or {cell.strip().replace(',', '')}",
            hint="Write decimals with a point, and no comma between thousands.",
        )
    return _TRUTH[plain] if plain in _TRUTH else parse_number(cell, such_as="70B, 1.4T, 3e21 or 2.31")


def _plain(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        raise InputError("not a number", hint="Write it as 70B, 1.4T, 3e21 or 2.31.") from None


def labels(cells: Iterable[Any]) -> Array:
    """Number the distinct cells of a column in the order in which they occur, from 0; blank ones are nan."""
    known: dict[str, float] = {}
    texts = ("" if cell is None else str(cell).strip() for cell in cells)
    return np.array([known.setdefault(text, float(len(known))) if text else np.nan for text in texts])
