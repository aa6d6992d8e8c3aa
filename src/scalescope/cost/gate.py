"""The physics gate: figures that no machine can produce, or not this one, with the reason.

What it says are doubts, not errors: the figures are kept, and left out of aggregates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from scalescope.cost.calls import WEIGHT_SIZE
from scalescope.points import BenchMachine, Cell
from scalescope.units import format_bytes, format_flop, format_seconds

ABOVE_CEILING = 1.05
"""Factor above the best measured matrix product that noise may explain."""

FLAT, GREW = 1.15, 2.5
"""Latency that grows by less than `FLAT` while FLOP grow by more than `GREW` was not measured."""

CACHED_BYTES = 256e6
"""Weights up to which a processor's cache may serve part of them."""

READ_FACTOR = 2.0
"""Reading alone may be this much faster than copying, which is what the bandwidth was measured with."""

BELOW_WEIGHTS = 0.95
"""Share of the weights below which a peak cannot be."""


def gate(
    cell: Cell, machine: BenchMachine, neighbours: Iterable[Cell] = (), *, launch_seconds: float = 0.0
) -> tuple[str, ...]:
    """Say why a cell's figures cannot be right; nothing if they can.

    Parameters
    ----------
    cell
        That ran.
    machine
        That it ran on, with measured ceilings.
    neighbours
        Cells of the same model and setting at other lengths; others are passed over.
    launch_seconds
        Fixed cost of a call: latency that is mostly this, or mostly reading the weights, may well be flat.
    """
    if not cell.ok:
        return ()
    reasons = [*_time(cell), *_memory(cell)]
    if cell.timing is not None and not reasons:
        reasons += [*_ceiling(cell, machine), *_bandwidth(cell, machine)]
        floor = launch_seconds + _weights(cell) / (READ_FACTOR * (machine.copy_bytes_per_s or math.inf))
        reasons += _flat(cell, neighbours, floor)
    return tuple(reasons)


def _time(cell: Cell) -> Iterator[str]:
    samples = () if cell.timing is None else cell.timing.samples
    if cell.timing is not None and not samples:
        yield "no sample was taken"
    elif any(not math.isfinite(sample) or sample <= 0 for sample in samples):
        yield "a sample of the time is zero, negative or not a number"


def _memory(cell: Cell) -> Iterator[str]:
    memory = cell.memory
    if memory is None:
        return
    for name in ("baseline", "weights", "cache", "activations", "logits", "load_peak", "peak"):
        value = getattr(memory, name)
        if value is not None and value < 0:
            yield f"memory: {name} is negative ({value} bytes)"
    weights = _weights(cell)
    if memory.peak is not None and 0 <= memory.peak < BELOW_WEIGHTS * weights:
        yield f"memory: a peak of {format_bytes(memory.peak)}, below weights of {format_bytes(weights)}"


def _ceiling(cell: Cell, machine: BenchMachine) -> Iterator[str]:
    ceiling, rate = machine.matmul_flop_per_s.get(cell.dtype), cell.flop_per_s
    if ceiling and rate and rate > ABOVE_CEILING * ceiling:
        yield (
            f"{format_flop(rate)}/s implied, above the {format_flop(ceiling)}/s of the best matrix product "
            "here: was the device synchronised?"
        )


def _bandwidth(cell: Cell, machine: BenchMachine) -> Iterator[str]:
    """A decoded token has read every weight that it uses."""
    if cell.workload.kind != "decode" or not machine.copy_bytes_per_s or not cell.flop or cell.timing is None:
        return
    used = min(cell.flop / (2 * cell.workload.batch) * WEIGHT_SIZE[cell.dtype], _weights(cell) or math.inf)
    least = used / (READ_FACTOR * machine.copy_bytes_per_s)
    if used > CACHED_BYTES and cell.timing.median < least:
        yield (
            f"{format_seconds(cell.timing.median)} a token is less than {format_seconds(least)}, the time to "
            f"read {format_bytes(used)} of weights at twice the measured bandwidth"
        )


def _flat(cell: Cell, neighbours: Iterable[Cell], floor: float) -> Iterator[str]:
    if cell.workload.kind == "decode" or cell.timing is None or not cell.flop:
        return
    for other in sorted(neighbours, key=lambda one: one.workload.length):
        if not _comparable(cell, other) or other.timing is None or not other.flop:
            continue
        grew = min(cell.flop / other.flop, _computed(cell, other))
        took = cell.timing.median / other.timing.median
        if grew > GREW and took < FLAT and floor < other.timing.median / 2:
            yield (
                f"latency grew {took:.2f} times from {other.workload.length} to {cell.workload.length} "
                f"tokens, FLOP {grew:.1f} times: was the device synchronised?"
            )
            return


def _comparable(cell: Cell, other: Cell) -> bool:
    def setting(one: Cell) -> tuple[object, ...]:
        load = one.workload
        how = (one.dtype, one.attention, one.compiled, one.device, one.threads)
        return (one.model, load.kind, load.batch, load.batching, load.head, *how)

    return other.ok and other.workload.length < cell.workload.length and setting(cell) == setting(other)


def _computed(cell: Cell, other: Cell) -> float:
    """Growth of the tokens really computed: a class that pads is flat for a reason."""
    if not cell.computed_tokens or not other.computed_tokens:
        return math.inf
    return cell.computed_tokens / other.computed_tokens


def _weights(cell: Cell) -> float:
    """Bytes of all parameters, the least that they may be."""
    return float((cell.params or 0) * WEIGHT_SIZE[cell.dtype])
