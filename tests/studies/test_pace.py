from __future__ import annotations

import pytest

from scalescope.studies.pace import Pace


@pytest.fixture
def pace(clock):
    def make(deadline=None, **predicted):
        until = None if deadline is None else clock.now + deadline
        return Pace(slots=2, deadline=until, predicted=predicted)

    return make


def test_nothing_done_means_no_slowdown(pace):
    assert pace(a=10.0).slowdown == 1.0


def test_the_time_left_is_that_of_both_slots_or_of_the_longest_trial(pace):
    assert pace(a=10.0, b=10.0, c=10.0).seconds_left == pytest.approx(15.0)
    assert pace(a=30.0, b=1.0).seconds_left == pytest.approx(30.0)
    assert pace().seconds_left == 0.0


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.0])
def test_the_slowdown_is_learnt_within_some_trials(pace, clock, factor):
    one = pace(**{str(index): 100.0 for index in range(20)})
    for index in range(12):
        one.start(str(index))
        clock.now += 100.0 * factor
        one.end(str(index))
    assert one.slowdown == pytest.approx(factor, rel=0.12)
    assert one.seconds_left == pytest.approx(8 * 100.0 / 2 * one.slowdown)


def test_a_change_of_speed_is_seen_again_within_a_few_trials(pace, clock):
    one = pace(**{str(index): 30.0 for index in range(40)})
    for index in range(30):
        one.start(str(index))
        clock.now += 30.0 * (2.0 if index < 20 else 1.0)
        one.end(str(index))
    assert one.slowdown == pytest.approx(1.0, abs=0.15)


def test_a_trial_under_way_counts_once_a_tenth_is_done(pace, clock):
    one = pace(a=100.0)
    one.start("a")
    clock.now += 150.0
    one.share["a"] = 0.05
    assert one.slowdown == 1.0
    one.share["a"] = 0.5
    assert one.slowdown == pytest.approx((150 + 20) / (50 + 20))
    assert one.core_seconds_left == pytest.approx(50.0)


def test_small_first_trials_do_not_decide(pace, clock):
    one = pace(a=0.5, b=100.0)
    one.start("a")
    clock.now += 5.0
    one.end("a")
    assert one.slowdown < 1.3


def test_a_trial_that_failed_says_nothing_about_speed(pace, clock):
    one = pace(a=100.0, b=1.0)
    one.start("a")
    clock.now += 1.0
    one.end("a", completed=False)
    assert one.slowdown == 1.0
    assert one.predicted == {"b": 1.0}


def test_the_time_allowed_is_what_is_left_to_the_deadline(pace, clock):
    one = pace(deadline=20.0, a=30.0)
    clock.now += 5.0
    assert one.seconds_allowed == pytest.approx(15.0)
    clock.now += 100.0
    assert one.seconds_allowed == 1.0


def test_without_a_deadline_any_time_is_allowed(pace):
    assert pace(a=1e9).seconds_allowed is None
