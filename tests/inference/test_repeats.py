from __future__ import annotations

import numpy as np
import pytest

from scalescope.inference import repeats
from scalescope.inference.repeats import half_width, median_interval, repeat_call, repeat_spans
from scalescope.inference.requests import Effort


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    process_time = perf_counter


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(repeats, "time", clock)
    return clock


def calls(clock, durations):
    left = iter(durations)

    def call():
        clock.now += next(left)

    return call


def forever(first, rest):
    yield from first
    while True:
        yield rest


def test_repeats_end_when_the_median_is_known(clock):
    timing = repeat_call(calls(clock, forever([9.0, 2.0], 1.0)), Effort(seconds=1e3), lambda: None)
    assert timing.warmup == (9.0, 2.0, 1.0, 1.0)
    assert timing.steady
    assert timing.met
    assert timing.samples == (1.0,) * 5
    assert (timing.low, timing.high) == (1.0, 1.0)
    assert timing.cpu == (1.0,) * 5


def test_noise_asks_for_more_repeats_up_to_the_limit_of_time(clock):
    rng = np.random.default_rng(0)
    noisy = (float(value) for value in 0.1 * rng.lognormal(0, 0.5, 10_000))
    timing = repeat_call(calls(clock, noisy), Effort(seconds=5.0, most=10_000), lambda: None)
    assert 20 < len(timing.samples) < 80
    assert not timing.met


def test_a_call_much_longer_than_the_time_is_its_own_warm_up(clock):
    timing = repeat_call(calls(clock, forever([], 30.0)), Effort(seconds=4.0), lambda: None)
    assert timing.samples == (30.0,)
    assert not timing.steady
    assert timing.low is None
    assert clock.now == 30.0


def test_a_call_somewhat_longer_than_the_time_is_warmed_up_once(clock):
    timing = repeat_call(calls(clock, forever([9.0], 6.0)), Effort(seconds=4.0), lambda: None)
    assert timing.warmup == (9.0,)
    assert timing.samples == (6.0,)


def test_the_device_is_awaited_before_every_reading_of_the_clock(clock):
    waits = []

    def synchronise():
        waits.append(clock.now)
        clock.now += 0.25 if len(waits) % 2 == 0 else 0.0  # what was queued ends here

    timing = repeat_call(calls(clock, forever([], 0.0)), Effort(), synchronise)
    assert set(timing.samples) == {0.25}


def test_the_memory_meter_is_reset_between_warm_up_and_samples(clock):
    seen = []
    repeat_call(
        calls(clock, forever([3.0], 1.0)), Effort(seconds=1e3), lambda: None, lambda: seen.append(clock.now)
    )
    assert seen == [5.0]


def test_every_token_of_a_repeat_is_a_sample(clock):
    def span():
        clock.now += 3.0
        return [1.0, 1.0, 1.0]

    timing = repeat_spans(span, Effort(seconds=1e3))
    assert len(timing.samples) == 15
    assert timing.warmup == (3.0, 3.0)


def test_the_interval_of_the_median_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(1)
    for n in (5, 8, 20, 51):
        held = 0
        for _ in range(2000):
            low, high = median_interval(rng.lognormal(0, 1, n))
            held += low <= 1 <= high
        assert 0.88 <= held / 2000 <= 0.975, n  # ranks are whole numbers: up to 0.959 is exact at n = 20


def test_four_samples_have_no_interval():
    assert median_interval([1.0, 2.0, 3.0, 4.0]) is None
    assert half_width([1.0, 1.0]) == float("inf")
