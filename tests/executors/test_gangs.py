"""Tasks of several processes on this machine; those on a cluster are in `test_ray_executor`."""

from __future__ import annotations

import time

import pytest

from scalescope.errors import InputError
from scalescope.executors import LocalExecutor, Task

ALLOWED = ("scalescope.", "executor_tasks.")


def gang(key, function, processes, **payload):
    return Task(key=key, function=f"executor_tasks:{function}", payload=payload, processes=processes)


def run(executor, *tasks, seconds=30.0):
    for each in tasks:
        executor.submit(each)
    events, deadline = [], time.monotonic() + seconds
    while new := list(executor.events(2.0)):
        events += new
        assert time.monotonic() < deadline
    return events


@pytest.fixture(scope="module")
def executor():
    with LocalExecutor(3, allowed=ALLOWED) as executor:
        yield executor


def test_processes_meet_and_rank_zero_speaks_for_all(executor):
    events = run(executor, gang("a", "meet", 3))
    assert [(event.kind, event.data) for event in events] == [
        ("started", {}),
        ("message", {"rank": 0}),
        ("done", {"total": 3, "host": "127.0.0.1"}),
    ]


def test_a_gang_waits_until_it_has_all_its_slots(executor):
    events = run(executor, gang("two", "meet", 2), gang("three", "meet", 3), gang("other", "meet", 2))
    starts = [event.key for event in events if event.kind == "started"]
    assert starts == ["two", "three", "other"]
    assert sum(event.kind == "done" for event in events) == 3


@pytest.mark.parametrize("which", [0, 2])
def test_a_process_that_dies_ends_the_others_and_is_named(executor, which):
    events = run(executor, gang("a", "one_rank_ends", 3, which=which, how="die"))
    assert events[-1].kind == "lost"
    assert events[-1].data["cause"].startswith(f"rank {which} of 3: the worker was killed by SIGKILL")
    assert run(executor, gang("a", "meet", 3))[-1].kind == "done"


def test_a_death_is_the_cause_where_others_only_hear_of_it(executor):
    last = run(executor, gang("a", "one_rank_ends", 2, which=1, how="break"))[-1]
    assert (last.kind, last.data["cause"][:13]) == ("lost", "rank 1 of 2: ")


def test_a_process_that_raises_fails_the_task_once(executor):
    events = run(executor, gang("a", "one_rank_ends", 3, which=1, how="raise"))
    assert [event.kind for event in events] == ["started", "failed"]
    assert events[-1].data["cause"] == "rank 1 of 3: InputError: no such layer"


def test_more_processes_than_slots_are_refused(executor):
    with pytest.raises(InputError, match="4 processes side by side and there are 3 slots") as caught:
        executor.submit(gang("a", "meet", 4))
    assert "fewer devices" in caught.value.hint
    with pytest.raises(InputError, match="at least 1 process"):
        executor.submit(gang("a", "meet", 0))
    assert list(executor.events(0.1)) == []


def test_a_cancelled_gang_leaves_its_slots(executor):
    executor.submit(gang("a", "one_rank_ends", 3, which=-1, how="wait"))
    next(iter(executor.events(10.0)))
    executor.cancel("a")
    assert run(executor, gang("a", "meet", 2))[-1].data["total"] == 1
