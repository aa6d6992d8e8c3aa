r"""How a call is timed: warm-up until steady, then repeats until the median is known well enough.

The interval of the median is that of order statistics: with n samples, the share of all samples below their
k-th smallest one is binomial, so no shape of the distribution is assumed. Its 90% interval exists from five
samples on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from scalescope.inference.requests import Effort
from scalescope.points import Timing

LEVEL = 0.9
FEWEST_FOR_INTERVAL = 5
"""Fewer samples have no 90% interval: their extremes hold the median with probability 1 - 2^(1-n)."""

ALONE = 5.0
"""A call that takes longer than this many times the time for repeats is not repeated.

The first call of a process also pays for the first touch of its buffers, up to a second here: too much for a
call of two seconds, little for one of twenty.
"""

Call = Callable[[], object]
Span = Callable[[], Sequence[float]]
"""Does one repeat and returns the wall seconds of its parts: one for a call, one a token for decoding."""


def repeat_call(call: Call, effort: Effort, synchronise: Call, on_steady: Call = lambda: None) -> Timing:
    """Time a call until the interval of its median is narrow enough.

    Parameters
    ----------
    call
        Does the work once.
    effort
        How long it is repeated.
    synchronise
        Waits until the device has done what it was given; called before every reading of the clock.
    on_steady
        Called once, between warm-up and the first sample: where a memory meter is reset.

    Returns
    -------
    Timing
        A call that takes longer than `ALONE` times `effort.seconds` is its own warm-up and its only sample;
        then `steady` is false.
    """

    def once() -> list[float]:
        synchronise()
        start = time.perf_counter()
        call()
        synchronise()
        return [time.perf_counter() - start]

    return repeat_spans(once, effort, on_steady)


def repeat_spans(span: Span, effort: Effort, on_steady: Call = lambda: None) -> Timing:
    """Time something that measures its own parts; every part is a sample. See `repeat_call`."""
    warmup, steady = _warm_up(span, effort)
    if not steady and sum(warmup[-1]) > ALONE * effort.seconds:
        return _timing(warmup[-1], (), warmup[:-1], steady=False, target=effort.target)
    on_steady()
    samples: list[float] = []
    processor: list[float] = []
    began = time.perf_counter()
    repeats = 0
    while True:
        before = time.process_time()
        parts = span()
        used = time.process_time() - before
        samples += parts
        processor += [used / len(parts)] * len(parts)
        repeats += 1
        spent = time.perf_counter() - began
        if repeats >= effort.most or spent >= effort.seconds:
            break
        if repeats >= effort.fewest and half_width(samples) <= effort.target:
            break
    return _timing(samples, processor, warmup, steady=steady, target=effort.target)


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """Return the 90% interval of the median; None below five samples."""
    n = len(samples)
    if n < FEWEST_FOR_INTERVAL:
        return None
    lowest = _rank(n)
    ordered = sorted(samples)
    return ordered[lowest], ordered[n - 1 - lowest]


def half_width(samples: Sequence[float]) -> float:
    """Return the larger half of the median's interval over the median; infinite below five samples."""
    interval = median_interval(samples)
    if interval is None:
        return math.inf
    middle = float(np.median(samples))
    return max(interval[1] - middle, middle - interval[0]) / middle


@cache
def _rank(n: int) -> int:
    """Largest k for which the interval from the k-th smallest to the k-th largest (from 0) has the level."""
    total, rank = 0.0, -1
    for k in range(n // 2):
        total += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
        if total > (1 - LEVEL) / 2:
            break
        rank = k
    return max(rank, 0)


def _warm_up(span: Span, effort: Effort) -> tuple[list[Sequence[float]], bool]:
    """Repeat until two successive repeats agree; return all of them and whether they did."""
    done: list[Sequence[float]] = []
    spent = 0.0
    while len(done) < effort.warmup:
        done.append(span())
        spent += sum(done[-1])
        if len(done) > 1 and abs(sum(done[-1]) / sum(done[-2]) - 1) <= effort.target:
            return done, True
        if spent > effort.seconds:
            break
    return done, False


def _timing(
    samples: Sequence[float],
    processor: Sequence[float],
    warmup: Sequence[Sequence[float]],
    *,
    steady: bool,
    target: float,
) -> Timing:
    interval = median_interval(samples)
    return Timing(
        samples=tuple(samples),
        cpu=tuple(processor),
        warmup=tuple(sum(parts) for parts in warmup),
        steady=steady,
        met=half_width(samples) <= target,
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
    )
