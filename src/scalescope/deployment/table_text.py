"""A bench table as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalescope.deployment.columns import Column
    from scalescope.deployment.tables import BenchTable

_WIDTH = 100


def table_text(table: BenchTable) -> str:
    """Write columns by letter, several blocks where they do not fit, and what each letter is below."""
    letters = {column.name: _letter(i) for i, column in enumerate(table.shown)}
    blocks = [_block(table, columns, letters) for columns in _fitting(table, letters)]
    keys = [_key(letters[one.name], one) for one in table.shown]
    notes = [f"  {note}" for note in table.notes]
    head = [f"Table {table.number}: {table.title}", f"  {table.mask}"]
    return "\n".join([*head, *("\n".join(block) for block in blocks), *keys, *notes])


def _key(letter: str, column: Column) -> str:
    study = ", the study's column" if column.study else ""
    way = {"higher": "; higher is better", "lower": "; lower is better", None: ""}[column.better]
    return f"  {letter}  {column.title} ({column.unit}{study}{way}): {column.definition}"


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"{chr(ord('a') + index // 26 - 1)}{_letter(index % 26)}"


def _fitting(table: BenchTable, letters: dict[str, str]) -> list[list[Column]]:
    """Cut the columns so that each block fits the width."""
    names = max(len(row.name) for row in table.rows) + 10
    blocks: list[list[Column]] = [[]]
    room = _WIDTH - names
    for column in table.shown:
        width = _width(table, column, letters)
        if width > room and blocks[-1]:
            blocks.append([])
            room = _WIDTH - names
        blocks[-1].append(column)
        room -= width
    return [block for block in blocks if block]


def _width(table: BenchTable, column: Column, letters: dict[str, str]) -> int:
    shown = [column.show(row.values[column.name]) for row in table.rows]
    return max(map(len, [*shown, letters[column.name]])) + 2


def _block(table: BenchTable, columns: Sequence[Column], letters: dict[str, str]) -> list[str]:
    wide = max(len(row.name) for row in table.rows)
    head = f"  {'':{wide}} {'models':>7}" + "".join(
        f"{letters[one.name]:>{_width(table, one, letters)}}" for one in columns
    )
    return [head] + [
        f"  {row.name:{wide}} {f'{row.n_ran}/{row.n_models}':>7}"
        + "".join(f"{one.show(row.values[one.name]):>{_width(table, one, letters)}}" for one in columns)
        for row in table.rows
    ]
