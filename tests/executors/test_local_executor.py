from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from scalescope.errors import InputError, RunError
from scalescope.executors import LocalExecutor, Task, open_executor, processes

ALLOWED = ("scalescope.", "executor_tasks.")


def task(key, function, files=None, **payload):
    return Task(key=key, function=f"executor_tasks:{function}", payload=payload, files=files or {})


def alive(pid):
    """Whether a process runs; one that only waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids, seconds=2.0):
    until = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def collect(executor, until, seconds=20.0):
    """Take events until one satisfies `until`, or until nothing is under way."""
    events = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        new = list(executor.events(1.0))
        events += new
        if any(until(event) for event in new):
            return events
    raise TimeoutError(f"only {events}")


def ended(n):
    """Say whether the n-th task has ended."""
    left = [n]

    def check(event):
        left[0] -= event.kind in ("done", "failed", "lost")
        return left[0] == 0

    return check


def run(executor, *tasks):
    for each in tasks:
        executor.submit(each)
    return collect(executor, ended(len(tasks)))


def last(events, key):
    return [event for event in events if event.key == key][-1]


@pytest.fixture(scope="module")
def shared_executor():
    with LocalExecutor(2, allowed=ALLOWED) as executor:
        yield executor


@pytest.fixture
def executor():
    with LocalExecutor(2, allowed=ALLOWED) as executor:
        yield executor


def test_events_of_a_task_come_in_order(shared_executor):
    events = run(shared_executor, task("a", "square", x=3))
    assert [(event.kind, event.data) for event in events] == [
        ("started", {}),
        ("message", {"half": 1.5}),
        ("done", {"square": 9}),
    ]


def test_more_tasks_than_slots_all_finish(shared_executor):
    events = run(shared_executor, *(task(str(x), "square", x=x) for x in range(20)))
    assert [last(events, str(x)).data["square"] for x in range(20)] == [x * x for x in range(20)]
    assert len(shared_executor.workers) == 2


def test_what_a_task_prints_is_not_taken_for_events(shared_executor):
    events = run(shared_executor, task("a", "shout", times=5000))
    assert [event.kind for event in events] == ["started", "done"]
    assert events[-1].data == {"said": True}


def test_large_messages_pass_both_ways(shared_executor):
    text = "x" * 3_000_000
    events = run(shared_executor, task("a", "echo", text=text), task("b", "echo", text=text))
    assert [event.data["text"] == text for event in events if event.kind != "started"] == [True] * 4


def test_a_worker_that_talks_faster_than_we_listen_waits(shared_executor):
    shared_executor.submit(task("a", "chatter", n=200, size=10_000))
    time.sleep(0.2)
    events = collect(shared_executor, ended(1))
    assert [event.data["index"] for event in events if event.kind == "message"] == list(range(200))


def test_an_error_fails_the_task_and_leaves_the_worker(shared_executor):
    run(shared_executor, task("w", "identify"))
    before = shared_executor.workers
    events = run(shared_executor, task("a", "refuse"))
    assert events[-1].kind == "failed"
    assert events[-1].data["cause"] == "InputError: the width is odd"
    assert shared_executor.workers == before


def test_files_are_given_by_path(shared_executor, tmp_path):
    (tmp_path / "corpus.bin").write_bytes(b"text")
    events = run(shared_executor, task("a", "read", {"corpus": tmp_path / "corpus.bin"}))
    assert events[-1].data["path"] == str(tmp_path / "corpus.bin")


def test_waiting_for_nothing_ends_at_once(shared_executor):
    start = time.monotonic()
    assert list(shared_executor.events(30.0)) == []
    assert time.monotonic() - start < 1


def test_waiting_ends_at_the_timeout_without_using_the_processor(executor):
    executor.submit(task("a", "wait"))
    collect(executor, lambda event: event.kind == "message")
    wall, processor = time.monotonic(), time.process_time()
    assert list(executor.events(0.3)) == []
    assert time.monotonic() - wall >= 0.3
    assert time.process_time() - processor < 0.05


def test_a_key_is_under_way_only_once(executor):
    executor.submit(task("a", "wait"))
    with pytest.raises(InputError, match="'a' is under way"):
        executor.submit(task("a", "square", x=1))


def test_only_allowed_functions_are_accepted():
    with LocalExecutor(1) as executor, pytest.raises(InputError, match="may not call"):
        executor.submit(task("a", "square", x=1))


def test_a_payload_that_is_not_json_is_refused(shared_executor):
    with pytest.raises(InputError, match="payload of 'a' is not JSON"):
        shared_executor.submit(task("a", "square", x={1}))


@pytest.mark.parametrize(
    ("death", "cause"),
    [
        ({"signal": "SIGKILL"}, "the worker was killed by SIGKILL; it said last: allocating 3 GiB | no luck"),
        ({"code": 4}, "the worker ended with exit code 4; it said last: allocating 3 GiB | no luck"),
    ],
)
def test_a_worker_that_dies_loses_its_task_and_nothing_else(executor, death, cause):
    events = run(executor, task("a", "die", **death), *(task(str(x), "square", x=x) for x in range(4)))
    assert [event.kind for event in events if event.key == "a"] == ["started", "message", "lost"]
    assert last(events, "a").data == {"cause": cause}
    assert [last(events, str(x)).kind for x in range(4)] == ["done"] * 4
    assert run(executor, task("a", "square", x=2))[-1].data == {"square": 4}


def test_a_crash_is_told_by_what_the_interpreter_says_of_it(executor):
    cause = run(executor, task("a", "die", signal="SIGSEGV"))[-1].data["cause"]
    assert cause.startswith("the worker was killed by SIGSEGV; it said last: Fatal Python error")


def test_all_that_a_worker_said_before_it_died_arrives(executor, monkeypatch):
    monkeypatch.setattr(processes, "_CHUNK", 10)  # it was dead long before we have read it all
    executor.submit(task("a", "die", code=1))
    time.sleep(0.4)
    events = collect(executor, ended(1))
    assert [event.kind for event in events] == ["started", "message", "lost"]
    assert events[-1].data["cause"].endswith("allocating 3 GiB | no luck")


def test_a_worker_killed_from_outside_is_noticed_at_once(executor):
    executor.submit(task("a", "wait"))
    executor.submit(task("b", "wait"))
    executor.submit(task("c", "square", x=5))
    pid = collect(executor, lambda event: event.kind == "message" and event.key == "a")[-1].data["pid"]
    os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    events = collect(executor, lambda event: event.kind == "lost", seconds=5)
    assert events[-1].key == "a"
    assert time.monotonic() - start < 1
    assert last(collect(executor, ended(1)), "c").data == {"square": 25}


def test_cancelling_a_task_ends_it_and_its_children_and_frees_the_slot():
    with LocalExecutor(1, allowed=ALLOWED) as executor:
        executor.submit(task("a", "wait_with_a_child"))
        executor.submit(task("b", "square", x=2))
        pids = collect(executor, lambda event: event.kind == "message")[-1].data
        executor.cancel("a")
        assert {event.key for event in collect(executor, ended(1))} == {"b"}
        assert gone([pids["pid"], pids["child"]])


def test_cancelling_a_waiting_task_drops_it():
    with LocalExecutor(1, allowed=ALLOWED) as executor:
        executor.submit(task("a", "wait"))
        executor.submit(task("b", "square", x=2))
        executor.cancel("b")
        executor.cancel("unknown")
        executor.cancel("a")
        assert list(executor.events(5.0)) == []


def test_nothing_of_a_cancelled_task_arrives_even_if_it_was_done():
    with LocalExecutor(1, allowed=ALLOWED) as executor:
        executor.submit(task("a", "square", x=2))
        time.sleep(0.4)  # all its events are there, in one piece
        stream = executor.events(5.0)
        assert next(stream).kind == "started"
        executor.cancel("a")
        assert list(stream) == []
        assert run(executor, task("a", "square", x=4))[-1].data == {"square": 16}


def test_closing_leaves_no_process(tmp_path):
    executor = LocalExecutor(2, allowed=ALLOWED)
    executor.submit(task("a", "wait_with_a_child"))
    executor.submit(task("b", "wait"))
    pids = collect(executor, lambda event: "child" in event.data)[-1].data
    workers = executor.workers
    executor.close()
    executor.close()
    assert gone([*workers, pids["child"]])
    with pytest.raises(RunError, match="closed"):
        executor.submit(task("c", "square", x=1))


def test_an_interrupt_from_the_terminal_does_not_reach_workers(executor):
    executor.submit(task("a", "wait"))
    pid = collect(executor, lambda event: event.kind == "message")[-1].data["pid"]
    assert os.getpgid(pid) != os.getpgrp()
    assert os.getsid(pid) != os.getsid(0)


def test_threads_are_set_before_a_worker_starts():
    with LocalExecutor(1, threads=3, allowed=ALLOWED) as executor:
        assert run(executor, task("a", "identify"))[-1].data["threads"] == "3"


@pytest.mark.parametrize("numbers", [{"slots": 0}, {"slots": 1, "threads": 0}])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(InputError, match="at least 1"):
        LocalExecutor(**numbers)


def test_an_unknown_engine_suggests_the_nearest():
    with pytest.raises(InputError, match="'locale'") as caught:
        open_executor("locale")
    assert "local" in caught.value.hint


def test_an_address_without_ray_is_refused():
    with pytest.raises(InputError, match="needs the engine ray"):
        open_executor("local", address="127.0.0.1:6379")


def test_by_default_there_is_a_slot_for_each_core():
    executor = open_executor("local", threads=10_000)
    assert executor.slots == 1
    executor.close()
