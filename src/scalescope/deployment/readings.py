"""Time and memory of one model at any length: measured, between measured lengths, or a stated factor beyond.

Between two lengths a line is drawn through logarithms. A sum of powers of L bends upwards there, so the line
lies on or above it: the reading errs to the slow and large side. Beyond the longest length the last slope
goes on, and the upper end of the interval grows as L², which no model here exceeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scalescope.cost import Positions
from scalescope.deployment.aggregates import joules_per_token, needed, weights
from scalescope.deployment.series import Series, spread_of
from scalescope.deployment.walls import limit_in
from scalescope.points import STATES, Cell, Estimate, State

Source = Literal["measured", "interpolated", "extrapolated"]
Reason = Literal[
    "latency", "memory", "params", "undecided", "too long", "failed", "doubtful", "skipped", "not measured"
]
"""Why a model is not recommended; nearest miss first."""

FARTHEST = 4.0
"""Times beyond the measured lengths up to which a reading is given at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a length takes."""

    seconds: Estimate
    """Of a call; of an output token for decode."""
    memory: Estimate | None
    """Bytes beside the libraries, loading included; None if it was not measured."""
    joules: float | None
    """Per token, of the nearest measured length."""
    source: Source
    reach: float = 1.0
    """Times beyond the measured lengths; 1 inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a length has no reading."""

    reason: Reason
    text: str


_REASONS: dict[State, Reason] = {
    "not_applicable": "too long",
    "position_limit": "too long",
    "skipped": "skipped",
}


def read_at(series: Series, length: int, positions: Positions | None = None) -> Reading | Refusal:
    """Read time and memory of a series at a length.

    Parameters
    ----------
    series
        Of one model under one setting.
    length
        In tokens.
    positions
        What the model's configuration allows, if it is known.
    """
    cell = series.at(length)
    if cell is not None and series.usable_at(length) is None:
        return _refused(cell)
    limit = positions.limit if positions is not None else None
    if limit is not None and length > limit:
        return Refusal(reason="too long", text=f"its configuration ends at {limit} tokens")
    if cell is not None:
        return _measured(cell)
    if not series.usable:
        return _refused(series.cells[0])
    below = [one for one in series.usable if one.workload.length < length]
    above = [one for one in series.usable if one.workload.length > length]
    if below and above:
        return _between(below[-1], above[0], length)
    return _beyond(series, length, limit) if below else _before(above, length)


def _refused(cell: Cell) -> Refusal:
    at = f"at {cell.workload.length} tokens"
    if cell.ok:
        why = "; ".join(cell.doubts) or "it was not timed"
        return Refusal(reason="doubtful", text=f"measured {at}, but impossible: {why}")
    reason = _REASONS.get(cell.state, "failed")
    cause = cell.cause or STATES[cell.state]
    return Refusal(reason=reason, text=f"{cell.state.replace('_', ' ')} {at}: {cause}")


def _measured(cell: Cell) -> Reading:
    middle, low, high = spread_of(cell)
    memory = needed(cell)
    return Reading(
        seconds=Estimate(value=middle, low=min(low, middle), high=max(high, middle)),
        memory=None if memory is None else Estimate.exact(memory),
        joules=joules_per_token(cell),
        source="measured",
    )


def _between(first: Cell, last: Cell, length: int) -> Reading:
    one, two = _measured(first), _measured(last)
    share = float(
        np.log(length / first.workload.length) / np.log(last.workload.length / first.workload.length)
    )
    nearer = one if share < 0.5 else two
    return Reading(
        seconds=_mixed(one.seconds, two.seconds, share),
        memory=_mixed(one.memory, two.memory, share) if one.memory and two.memory else None,
        joules=nearer.joules,
        source="interpolated",
    )


def _mixed(one: Estimate, two: Estimate, share: float) -> Estimate:
    """Go a share of the way from one to the other, in logarithms; negative or above 1 is beyond them."""

    def mix(a: float, b: float) -> float:
        return float(a ** (1 - share) * b**share) if min(a, b) > 0 else a + (b - a) * share

    value = mix(one.value, two.value)
    ends = [value, mix(one.low, two.low), mix(one.high, two.high)]
    return Estimate(value=value, low=min(ends), high=max(ends))


def _beyond(series: Series, length: int, limit: int | None) -> Reading | Refusal:
    """Go on beyond the longest measured length, unless the model stops before or too little is known."""
    known = series.usable
    last = known[-1].workload.length
    stop = next((cell for cell in series.cells if cell.workload.length > last), None)
    if stop is not None:
        if stop.workload.length < length:
            return _refused(stop)
        found = limit if limit is not None else limit_in(stop.cause, last, stop.workload.length)
        if found is None or stop.state != "not_applicable":
            told = _refused(stop).text
            return Refusal(reason="undecided", text=f"runs at {last}, {told}; measure it at {length}")
        if found < length:
            return _refused(stop)
    reach = length / last
    if reach > FARTHEST or len(known) < 2:
        return Refusal(reason="not measured", text=f"measured at {_lengths(known)} only")
    return _extended(known[-2], known[-1], length, reach)


def _extended(first: Cell, last: Cell, length: int, reach: float) -> Reading:
    base, on = _measured(last), _between(first, last, length)
    memory = None
    if on.memory is not None and base.memory is not None:
        held = min(weights(last) or 0.0, base.memory.value)
        high = held + (base.memory.high - held) * reach**2
        memory = Estimate(value=on.memory.value, low=base.memory.low, high=max(high, on.memory.value))
    slow = max(base.seconds.high * reach**2, on.seconds.value)
    seconds = Estimate(value=on.seconds.value, low=min(base.seconds.low, on.seconds.value), high=slow)
    return Reading(
        seconds=seconds, memory=memory, joules=base.joules, source="extrapolated", reach=float(reach)
    )


def _before(above: list[Cell], length: int) -> Reading | Refusal:
    """Take the shortest measured length for the upper end: a shorter text takes no longer."""
    first = above[0]
    reach = first.workload.length / length
    if reach > FARTHEST or len(above) < 2:
        return Refusal(reason="not measured", text=f"measured at {_lengths(above)} only")
    base, on = _measured(first), _between(above[0], above[1], length)
    value = min(on.seconds.value, base.seconds.value)
    low = min(on.seconds.low, value)
    return Reading(
        seconds=Estimate(value=value, low=low, high=base.seconds.high),
        memory=base.memory,
        joules=base.joules,
        source="extrapolated",
        reach=float(reach),
    )


def _lengths(cells: list[Cell] | tuple[Cell, ...]) -> str:
    return ", ".join(str(cell.workload.length) for cell in cells)
