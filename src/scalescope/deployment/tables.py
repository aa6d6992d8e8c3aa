"""The five tables of the model study for any bench, its columns by their own formulas and ours beside them.

I loading and memory, II throughput by length and success, III memory scaling, IV efficiency, V classes. Rows
are categories, or models, and all of them; every table states which cells it rests on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from scalescope.cost import Positions
from scalescope.deployment.choosing import Chosen, choose_series
from scalescope.deployment.classes import CLASSES, NOT_TRIED, class_measures, classes_of
from scalescope.deployment.columns import Column
from scalescope.deployment.measures import (
    Measure,
    efficiency_measures,
    loading_measures,
    memory_measures,
    throughput_measures,
)
from scalescope.deployment.series import Series, count_of
from scalescope.errors import InputError
from scalescope.points import Cells, Finding, Provenance, from_plain, to_plain

Row = dict[str, Any]
By = Literal["category", "model"]

REFERENCE = 512
"""Length at which the study takes its throughput; the nearest measured one stands in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One category, model, or all."""

    name: str
    n_models: int
    n_ran: int
    """Models with a cell whose figures count."""
    values: Mapping[str, float | None]
    """By the name of the column; None where nothing was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTable:
    """One of the five tables."""

    number: str
    """I to V."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    mask: str
    """Which cells it rests on."""
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """Find a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def row(self, name: str) -> TableRow:
        """Find a row by its name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def shown(self) -> tuple[Column, ...]:
        """Columns that have a value in some row."""
        return tuple(
            one for one in self.columns if any(row.values[one.name] is not None for row in self.rows)
        )

    def frame(self) -> list[Row]:
        """Tidy rows, one a row of the table and column, with unit and definition."""
        return [
            {
                "table": self.number,
                "name": row.name,
                "n_models": row.n_models,
                "n_ran": row.n_ran,
                "column": column.name,
                "title": column.title,
                "value": row.values[column.name],
                "unit": column.unit,
                "better": column.better,
                "study": column.study,
                "definition": column.definition,
            }
            for row in self.rows
            for column in self.columns
        ]

    def summary(self) -> str:
        """The table, its mask, and what each column is, for a terminal."""
        from scalescope.deployment.table_text import table_text

        return table_text(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTables:
    """All five.  Built by `bench_tables`."""

    schema: ClassVar[str] = "scalescope.bench-tables/1"

    tables: tuple[BenchTable, ...]
    by: By
    lengths: tuple[int, ...]
    reference: int
    """Length of the figures that are taken at one length only."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def table(self, number: str) -> BenchTable:
        """Find a table by its number, I to V."""
        return next(table for table in self.tables if table.number == number)

    def frame(self) -> list[Row]:
        """Tidy rows of all tables."""
        return [row for table in self.tables for row in table.frame()]

    def summary(self) -> str:
        """All tables and findings, for a terminal."""
        texts = [table.summary() for table in self.tables]
        return "\n\n".join([*texts, *(str(finding) for finding in self.findings)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BenchTables:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)


def bench_tables(
    cells: Cells,
    *,
    by: By = "category",
    lengths: Sequence[int] | None = None,
    limits: Mapping[str, Positions] | None = None,
) -> BenchTables:
    """Make the five tables.

    Parameters
    ----------
    cells
        Of a bench. Architectures count once; cells that ran but look impossible are in no figure.
    by
        What a row is. The last row is all models.
    lengths
        Of the columns; by default those that at least half of the models have a cell for.
    limits
        Positions of every model by its name, for the classes by configuration.

    Raises
    ------
    InputError
        If there are no cells, or none of the lengths was measured.
    """
    if not len(cells):
        raise InputError("the bench has no cells", hint="Run `scalescope bench` first.")
    chosen = choose_series(cells)
    wanted = _lengths(chosen, lengths)
    reference = min(wanted, key=lambda length: (abs(length - REFERENCE), length))
    groups = _groups(cells, chosen, by)
    measures: list[tuple[str, str, list[Measure], tuple[str, ...]]] = [
        ("I", "Loading and memory", loading_measures(reference), _load_notes(chosen)),
        ("II", "Throughput by length and success rate", throughput_measures(wanted), ()),
        ("III", "Memory by length", memory_measures(wanted), ()),
        ("IV", "Efficiency", efficiency_measures(reference, cells.machine), ()),
        ("V", "Classes by the longest length that ran", class_measures(limits), _class_notes()),
    ]
    tables = tuple(
        _table(number, title, columns, groups, chosen, notes) for number, title, columns, notes in measures
    )
    return BenchTables(
        tables=tables,
        by=by,
        lengths=wanted,
        reference=reference,
        findings=(*chosen.findings, *_findings(chosen)),
        provenance=cells.provenance,
    )


def _lengths(chosen: Chosen, lengths: Sequence[int] | None) -> tuple[int, ...]:
    every = {cell.workload.length for one in chosen.series for cell in one.cells}
    if lengths is None:
        return chosen.lengths
    wanted = tuple(sorted(set(lengths) & every))
    if not wanted:
        known = ", ".join(map(str, sorted(every)))
        raise InputError(f"no cell has a length of {', '.join(map(str, lengths))}", hint=f"Known: {known}.")
    return wanted


def _groups(cells: Cells, chosen: Chosen, by: By) -> dict[str, Sequence[Series]]:
    """Group the series; a category counts an architecture once even if another category has it too."""
    groups: dict[str, Sequence[Series]] = {}
    if by == "model":
        groups |= {one.model: [one] for one in chosen.series}
    else:
        for name, group in choose_series(cells, distinct=False).categories.items():
            alone = {one.cells[0].architecture or one.model: one for one in reversed(group)}
            groups[name] = tuple(reversed(alone.values()))
    return groups | {"all": chosen.series}


def _table(
    number: str,
    title: str,
    measures: Sequence[Measure],
    groups: Mapping[str, Sequence[Series]],
    chosen: Chosen,
    notes: tuple[str, ...],
) -> BenchTable:
    rows = tuple(
        TableRow(
            name=name,
            n_models=len(group),
            n_ran=sum(bool(one.usable) for one in group),
            values={column.name: value(group) for column, value in measures},
        )
        for name, group in groups.items()
    )
    columns = tuple(column for column, _ in measures)
    return BenchTable(
        number=number, title=title, columns=columns, rows=rows, mask=chosen.mask.text, notes=notes
    )


def _load_notes(chosen: Chosen) -> tuple[str, ...]:
    caches = Counter(
        cell.load.page_cache for one in chosen.series for cell in one.usable[:1] if cell.load is not None
    )
    said = ", ".join(f"{kind} {count}" for kind, count in caches.most_common())
    return (f"Page cache while loading: {said}.",) if said else ()


def _class_notes() -> tuple[str, ...]:
    said = [f"{name}: {one.definition}" for name, one in CLASSES.items()]
    return (f"{'; '.join(said)}; {NOT_TRIED}: no cell was really run.",)


def _findings(chosen: Chosen) -> tuple[Finding, ...]:
    open_ended = [one for one in classes_of(chosen.series) if one.open and one.capacity != "high"]
    if not open_ended:
        return ()
    return (
        Finding(
            code="BEN052",
            text=f"{count_of(len(open_ended), 'model')} ran at the longest length tried, below 1024.",
            hint="Their class is a lower limit; measure them at 1024.",
        ),
    )
