"""Predicted cells for a terminal: a row a model, time and memory at every length, or why it would not run."""

from __future__ import annotations

from collections import Counter

from scalescope.deployment.overview import MARKS
from scalescope.points import Cell, Cells
from scalescope.units import format_bytes, format_seconds


def predictions_text(cells: Cells) -> str:
    """Write what is predicted for every model: time of a call and peak of memory by length.

    Parameters
    ----------
    cells
        Not run, each with what is expected of it.
    """
    settings = dict.fromkeys((cell.model, cell.setting) for cell in cells)
    lengths = cells.lengths
    by_place = {(cell.model, cell.setting, cell.workload.length): cell for cell in cells}
    several = len(settings) > len(cells.models)
    names = {place: f"{place[0].rpartition('/')[2]}{' ' + place[1] if several else ''}" for place in settings}
    width = max(map(len, names.values()), default=5)
    lines = [_head(cells), f"  {'':<{width}}" + "".join(f"  {length:>16}" for length in lengths)]
    for place, name in names.items():
        row = "".join(f"  {_entry(by_place.get((*place, length))):>16}" for length in lengths)
        lines.append(f"  {name:<{width}}{row}")
    spread = {cell.expected.spread for cell in cells if cell.expected and cell.expected.spread}
    if spread:
        lines.append(
            f"  times: nine of ten within a factor {max(spread):.2f} on models left out of the calibration"
        )
    return "\n".join(lines)


def _head(cells: Cells) -> str:
    states = Counter(cell.state for cell in cells)
    told = [f"{states.pop('ok', 0)} would run"]
    told += [f"{n} {state.replace('_', ' ')}" for state, n in states.most_common()]
    where = cells.machine.processor or cells.machine.device_name or cells.machine.device
    threads = f"{cells.machine.threads} thread{'s' if cells.machine.threads > 1 else ''}"
    counts = f"{len(cells.models)} models, {len(cells)} cells ({', '.join(told)})"
    return f"predicted, not run: {counts} on {where}, {threads}"


def _entry(cell: Cell | None) -> str:
    if cell is None:
        return ""
    expected = cell.expected
    if cell.state == "not_applicable" or expected is None:
        return MARKS[cell.state]
    memory = "" if expected.memory_bytes is None else format_bytes(expected.memory_bytes)
    if cell.state != "ok":
        return f"{cell.cause.partition(':')[0] or MARKS[cell.state]} {memory}"
    time = "" if expected.seconds is None else format_seconds(expected.seconds)
    return f"{time} {memory}"
