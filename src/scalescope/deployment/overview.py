"""A bench on one screen: a matrix of models and lengths, why models stop, and the doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from scalescope.deployment.choosing import Chosen, choose_series
from scalescope.deployment.series import Series, is_usable
from scalescope.deployment.walls import find_walls
from scalescope.points import STATES, TRIED, Cell, Cells, Finding, State
from scalescope.units import format_count, format_seconds

ROWS = 30
"""Most models that are listed one by one; beyond, a row is a category."""
CAUSES = 8
"""Most failed cells whose cause is told; the report has all."""
LENGTHS = 8
"""Most columns: the longest ones are shown where a bench has more."""

MARKS: Mapping[State, str] = {
    "ok": "ok",
    "position_limit": "position",
    "missing_input": "input",
    "allocator_oom": "memory",
    "killed": "killed",
    "timeout": "timeout",
    "unsupported_op": "op",
    "nonfinite": "nan",
    "api_error": "api",
    "other": "error",
    "not_applicable": "n/a",
    "skipped": "skipped",
}
"""State to what stands in the matrix where there is no throughput."""


def bench_text(cells: Cells, *, rows: int = ROWS) -> str:
    """Write a bench for a terminal: throughput or state of every cell, the answer by length, what failed.

    Parameters
    ----------
    cells
        Of a bench.
    rows
        Most models that are listed one by one; a bench with more shows categories.
    """
    if not len(cells):
        return f"{cells.title}: no cells"
    many = len(cells.models) > rows
    chosen = choose_series(cells, distinct=many)
    lengths = sorted({cell.workload.length for one in chosen.series for cell in one.cells})[-LENGTHS:]
    matrix = _categories(chosen, lengths) if many else _models(chosen, lengths)
    said = [f"  {one.text}" for one in find_walls(cells).answers if one.length in lengths]
    return "\n".join(
        [
            _head(cells, chosen),
            *matrix,
            *_legend(chosen, many),
            *said,
            *_failed(cells),
        ]
    )


def doubts_of(cells: Cells) -> tuple[Finding, ...]:
    """Return the findings of a bench and those about its figures, each once."""
    if not len(cells):
        return cells.findings
    return tuple(dict.fromkeys((*cells.findings, *find_walls(cells).findings)))


def _failed(cells: Cells) -> list[str]:
    """Say of the first failed cells why."""
    failed = [cell for cell in cells if cell.state in TRIED and not cell.ok and not cell.shared_from]
    lines = [
        f"  {cell.model.rpartition('/')[2]} {cell.workload.name}: {MARKS[cell.state]}: {cell.cause}"
        for cell in failed[:CAUSES]
    ]
    more = len(failed) - len(lines)
    return [*lines, f"  and {more} more failed cells"] if more else lines


def _head(cells: Cells, chosen: Chosen) -> str:
    states = Counter(cell.state for cell in cells)
    counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.most_common())
    wall = sum(cell.wall_s or 0.0 for cell in cells)
    spent = f", {format_seconds(wall)}" if wall else ""
    machine = cells.machine.device_name or cells.machine.processor
    where = f" on {machine}" if machine else ""
    head = f"{cells.title}: {len(cells.models)} models, {len(cells)} cells ({counts}){where}{spent}"
    return f"{head}\n  useful tokens/s, {chosen.mask.setting}"


def _models(chosen: Chosen, lengths: Sequence[int]) -> list[str]:
    """One row a model, grouped by category."""
    rows = []
    for category, group in chosen.categories.items():
        rows.append((f"{category.replace('_', ' ')}", [""] * len(lengths)))
        rows += [(f"  {one.short}", [_mark(one.at(length)) for length in lengths]) for one in group]
    return _grid([f"{length}" for length in lengths], rows)


def _categories(chosen: Chosen, lengths: Sequence[int]) -> list[str]:
    """One row a category: how many of its models ran."""
    groups = {**chosen.categories, "all": chosen.series}
    rows = [
        (f"{name.replace('_', ' ')}", [_ran(group, length) for length in lengths])
        for name, group in groups.items()
    ]
    return _grid([f"{length}" for length in lengths], rows)


def _ran(group: Sequence[Series], length: int) -> str:
    found = [cell for one in group if (cell := one.at(length)) is not None]
    return f"{sum(cell.ok for cell in found)}/{len(found)}" if found else ""


def _mark(cell: Cell | None) -> str:
    """Throughput, with a question mark where it is doubtful; else the state in a word."""
    if cell is None:
        return ""
    if not cell.ok:
        return MARKS[cell.state]
    rate = cell.tokens_per_s if cell.timing is not None and cell.timing.samples else None
    if rate is None:
        return "ok"
    return format_count(rate) + ("" if is_usable(cell) else "?") + ("=" if cell.shared_from else "")


def _grid(header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    wide = max(len(name) for name, _ in rows)
    widths = [max(len(header[i]), *(len(values[i]) for _, values in rows)) + 2 for i in range(len(header))]
    head = " " * (wide + 2) + "".join(f"{name:>{width}}" for name, width in zip(header, widths, strict=True))
    lines = [
        f"  {name:{wide}}" + "".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
        for name, values in rows
    ]
    return [head, *(line.rstrip() for line in lines)]


def _legend(chosen: Chosen, many: bool) -> list[str]:
    """Say what the words in the matrix mean, those that stand in it only."""
    if many:
        return ["  models that ran of models with a cell, equal architectures once"]
    states = {cell.state: None for one in chosen.series for cell in one.cells if not cell.ok}
    doubtful = any(cell.ok and not is_usable(cell) for one in chosen.series for cell in one.cells)
    shared = any(cell.shared_from for one in chosen.series for cell in one.cells)
    lines = [f"  {MARKS[state]}: {STATES[state]}" for state in states]
    lines += ["  ?: ran, but looks impossible"] * doubtful
    return lines + ["  =: measured on another model of the same architecture"] * shared
