"""Figures of single cells, and the two ways to join them: mean of ratios, and ratio of sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from scalescope.deployment.series import Series
from scalescope.points import BenchMachine, Cell

Figure = Callable[[Cell], float | None]


def mean(values: Iterable[float | None]) -> float | None:
    """Average what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def ratio_of_sums(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Divide sum by sum over the pairs that are complete; None where none is."""
    known = [(top, bottom) for top, bottom in pairs if top is not None and bottom is not None]
    total = sum(bottom for _, bottom in known)
    return float(sum(top for top, _ in known) / total) if known and total else None


def mean_of_ratios(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Average the quotients of the pairs that are complete; None where none is."""
    return mean(top / bottom for top, bottom in pairs if top is not None and bottom)


def cells_at(group: Sequence[Series], length: int) -> list[Cell]:
    """Cells of this length whose figures count, at most one a model."""
    return [cell for one in group if (cell := one.usable_at(length)) is not None]


def seconds(cell: Cell) -> float | None:
    """Median time of a call; of an output token for decode."""
    return cell.timing.median if cell.timing is not None else None


def tokens(cell: Cell) -> float:
    """Tokens that `seconds` is the time of."""
    return float(cell.workload.batch if cell.workload.kind == "decode" else cell.workload.tokens)


def peak(cell: Cell) -> float | None:
    """Highest memory of a call, above the baseline."""
    return cell.memory.peak if cell.memory is not None else None


def weights(cell: Cell) -> float | None:
    """Memory of the loaded weights."""
    return cell.memory.weights if cell.memory is not None else None


def needed(cell: Cell) -> float | None:
    """Memory that a deployment must have beside the libraries: the higher of loading and running."""
    if cell.memory is None or cell.memory.peak is None:
        return None
    return max(cell.memory.peak, cell.memory.load_peak or 0)


def activations(cell: Cell) -> float | None:
    """What a call needs above the weights: activations, cache and logits."""
    top, base = peak(cell), weights(cell)
    return None if top is None or base is None else max(top - base, 0.0)


def joules_per_token(cell: Cell) -> float | None:
    """Energy of one token, where something metered it or a power was stated."""
    return None if cell.energy is None else cell.energy.joules / tokens(cell)


def roof_seconds(cell: Cell, machine: BenchMachine) -> float | None:
    """Shortest time that the machine allows: its matmul ceiling, and for decode reading the weights once."""
    ceiling = machine.matmul_flop_per_s.get(cell.dtype)
    if not ceiling or cell.flop is None:
        return None
    compute = cell.flop / ceiling
    read = weights(cell)
    if cell.workload.kind != "decode" or read is None or not machine.copy_bytes_per_s:
        return compute
    return max(compute, read / machine.copy_bytes_per_s)


def best(one: Series, figure: Figure) -> float | None:
    """Highest value over the lengths of a series."""
    known = [value for cell in one.usable if (value := figure(cell)) is not None]
    return max(known, default=None)


def first_load(one: Series) -> Cell | None:
    """Shortest cell whose loading was timed: the one that says what loading costs."""
    return next(
        (cell for cell in one.usable if cell.load is not None and cell.load.total_s is not None), None
    )
