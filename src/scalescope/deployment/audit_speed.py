"""Checks of speed: against the device, length, memory bandwidth, and a second measurement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from scalescope.deployment.audit_limits import Limits
from scalescope.deployment.audit_result import Check, Evidence, flop_rate
from scalescope.deployment.audit_rows import WEIGHTS
from scalescope.deployment.audit_table import ResultRow, ResultTable, Run
from scalescope.units import format_bytes, format_factor, format_significant

FLAT = 1.15
"""Least latency of four times the tokens, as a multiple."""
FLAT_LONG = 1.25
"""Least latency of eight times the tokens and more, as a multiple."""
DISAGREE = 1.5
"""Two measurements of one cell may differ by this factor."""
APART = 1.1
"""Rate times latency may miss the tokens by this factor, for rounding."""
_OUTPUT = re.compile(r"out|new.?tok|gen")
"""Names of columns that tell of generated tokens."""
_REPEATED = re.compile(r"|(?:re-?run|run|second|2nd|first|1st|again|repeat\w*|trial|v)\s*\d*")
"""Names of series that should agree; others, such as `fp32` and `bf16`, should not."""


def cells(table: ResultTable) -> Iterator[tuple[ResultRow, Run]]:
    """Yield every run with its row."""
    return ((row, run) for row in table.rows for run in row.runs)


def implied_flop_per_s(row: ResultRow, run: Run, limits: Limits) -> float | None:
    """Return FLOP/s that a figure implies: by its own FLOP, the architecture's, else two per parameter."""
    if not run.ran:
        return run.flop_per_s
    if run.flop is not None and run.seconds:
        return run.flop / run.seconds
    limit = limits.find(row.model)
    per_token = (limit.flop_per_token if limit else None) or (2 * row.params if row.params else None)
    return per_token * run.tokens_per_s if per_token and run.tokens_per_s else None


def above_the_device(table: ResultTable, limits: Limits, peak: float) -> Check | None:
    """Figures that would take more FLOP/s than the device has."""
    rates = [
        (rate, row, run)
        for row, run in cells(table)
        if (rate := implied_flop_per_s(row, run, limits)) is not None
    ]
    bad = sorted((one for one in rates if one[0] > peak), key=lambda one: -one[0])
    check = Check(
        code="BEN074",
        title=f"more than the device's {flop_rate(peak)}",
        severity="impossible",
        affected=len(bad),
        of=len(rates),
        unit="cells that ran",
        meaning="The clock stopped when the work was queued, not when it was done; or padding counts.",
        advice="Synchronise the device before each stop of the clock, and measure again.",
        note=f"{len({row.model for _, row, _ in bad})} models" if bad else "",
        evidence=tuple(
            Evidence(
                place=row.place,
                model=row.model,
                text=f"{flop_rate(rate)} at {run.length} tokens{_series(run)}",
            )
            for rate, row, run in bad
        ),
    )
    return check if rates else None


def flat_latency(table: ResultTable) -> Iterator[Check]:
    """Latency that hardly grows from the shortest length to one at least four times as long."""
    pairs: dict[tuple[str, int, int], list[tuple[float, Evidence]]] = defaultdict(list)
    for (model, series, *_), times in _by_length(table).items():
        shortest = min(times)
        for length in times:
            if length >= 4 * shortest:
                (place, short), (_, long) = times[shortest], times[length]
                text = f"{_ms(short)} at {shortest}, {_ms(long)} at {length}: {format_factor(long / short)}"
                evidence = Evidence(place=place, model=str(model), text=text)
                pairs[str(series), shortest, length].append((long / short, evidence))
    for (series, shortest, length), ratios in sorted(pairs.items()):
        yield _flat(series, shortest, length, ratios)


def _by_length(table: ResultTable) -> dict[tuple[object, ...], dict[int, tuple[int, float]]]:
    """Model, series and all conditions to length to place and seconds."""
    found: dict[tuple[object, ...], dict[int, tuple[int, float]]] = defaultdict(dict)
    for row, run in cells(table):
        if run.ran and run.seconds and run.length:
            key = (row.model, run.series, run.batch, row.dtype, row.conditions)
            found[key].setdefault(run.length, (row.place, run.seconds))
    return found


def _flat(series: str, shortest: int, length: int, ratios: list[tuple[float, Evidence]]) -> Check:
    limit = FLAT if length < 8 * shortest else FLAT_LONG
    which = f" ({series})" if series else ""
    bad = sorted((one for one in ratios if one[0] < limit), key=lambda one: one[0])
    falls = sum(ratio < 1 for ratio, _ in bad)
    return Check(
        code="BEN075",
        title=f"latency at {length} tokens below {limit}x that at {shortest}{which}",
        severity="misleading",
        affected=len(bad),
        of=len(ratios),
        unit="models that ran at both",
        meaning="Starting the work was timed, not the work: no synchronisation, or bound by launches.",
        advice="Synchronise before each stop; if it stays flat, launches bound it: raise batch or length.",
        note=f"in {falls} of them it even falls" if falls else "",
        evidence=tuple(one for _, one in bad),
    )


def decode_beyond_bandwidth(table: ResultTable, bandwidth: float) -> Check | None:
    """Decoding faster than the weights can be read once a token."""
    rates = [
        (run.tokens_per_s / run.batch * WEIGHTS.get(row.dtype, 2.0) * row.params, row, run)
        for row, run in cells(table)
        if run.decodes and run.tokens_per_s and row.params
    ]
    bad = sorted((one for one in rates if one[0] > bandwidth), key=lambda one: -one[0])
    check = Check(
        code="BEN076",
        title=f"decoding that reads weights above {format_bytes(bandwidth)}/s",
        severity="impossible",
        affected=len(bad),
        of=len(rates),
        unit="cells that decode",
        meaning="Every output token reads all weights (but for idle experts), so this is prefill or a sum.",
        advice="Time output tokens by themselves; name batch, type, and how many experts a token meets.",
        evidence=tuple(
            Evidence(
                place=row.place, model=row.model, text=f"{format_bytes(rate)}/s of weights{_series(run)}"
            )
            for rate, row, run in bad
        ),
    )
    return check if rates else None


def measured_twice(table: ResultTable) -> Iterator[Check]:
    """One model at one length with unlike figures: in a series that repeats another, or in another row."""
    found: dict[tuple[object, ...], list[tuple[ResultRow, Run]]] = defaultdict(list)
    for row, run in cells(table):
        if run.ran and run.seconds and _REPEATED.fullmatch(run.series):
            key = (row.model, run.length, run.batch, row.dtype, row.conditions)
            found[key].append((row, run))
    both = [(many[0], other) for many in found.values() for other in many[1:]]
    series = [(one, other) for one, other in both if one[1].series != other[1].series]
    rows = [(one, other) for one, other in both if one[1].series == other[1].series]
    if series:
        yield _twice("BEN083", "two series of figures for the same cells differ", series)
    if rows:
        yield _twice("BEN085", "two rows for the same cell differ", rows)


def rate_and_latency(table: ResultTable) -> Check | None:
    """Rows whose rate is not their tokens over their latency."""
    if any(_OUTPUT.search(column.theirs.lower()) for column in table.columns):
        return None  # the rate may be of the output alone
    pairs = [
        (max(run.tokens_per_s / run.rate_again, run.rate_again / run.tokens_per_s), row, run)
        for row, run in cells(table)
        if run.tokens_per_s and run.rate_again and not run.decodes
    ]
    bad = sorted((one for one in pairs if one[0] > APART), key=lambda one: -one[0])
    check = Check(
        code="BEN088",
        title="rate and latency of one row do not belong together",
        severity="misleading",
        affected=len(bad),
        of=len(pairs),
        unit="cells with both",
        meaning="They are of different runs or tokens: output only, padding, a sum of users, another batch.",
        advice="Say which tokens are counted; derive the rate from the same samples as the latency.",
        evidence=tuple(
            Evidence(
                place=row.place,
                model=row.model,
                text=f"{format_factor(factor)} apart at {run.length} tokens{_series(run)}",
            )
            for factor, row, run in bad
        ),
    )
    return check if pairs else None


def _twice(code: str, title: str, both: list[tuple[tuple[ResultRow, Run], tuple[ResultRow, Run]]]) -> Check:
    ratios, bad = [], []
    for (row, one), (_, other) in both:
        slow, fast = sorted((one.seconds or 0.0, other.seconds or 0.0), reverse=True)
        ratios.append(slow / fast)
        if slow / fast > DISAGREE:
            text = f"{_ms(fast)} and {_ms(slow)} at {one.length} tokens: {format_factor(slow / fast)}"
            bad.append((slow / fast, Evidence(place=row.place, model=row.model, text=text)))
    bad.sort(key=lambda one: -one[0])
    middle = float(np.median(ratios))
    return Check(
        code=code,
        title=f"{title} by more than {DISAGREE}x",
        severity="misleading",
        affected=len(bad),
        of=len(ratios),
        unit="pairs",
        meaning="At least one of the two is no measurement of the model; a reader cannot tell which.",
        advice="Keep the one that the device could do, say what differed, and measure again.",
        note=f"{format_factor(middle)} in the median, {format_factor(bad[0][0])} at worst" if bad else "",
        evidence=tuple(one for _, one in bad),
    )


def _series(run: Run) -> str:
    return f" ({run.series})" if run.series else ""


def _ms(seconds: float) -> str:
    return f"{format_significant(1e3 * seconds)} ms"
