"""Calls in forked processes: results, messages, isolation, limits."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import pytest

from scalescope.errors import InputError, MissingExtraError
from scalescope.inference.nursery import Nursery
from scalescope.inference.requests import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

HERE = str(Path(__file__).parent)
MIB = 1 << 20
EASY = Limits(seconds=20)


@pytest.fixture(scope="module")
def nursery():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        with Nursery(preload=(), threads=1, allowed=("cell_tasks",)) as one:
            yield one


def test_a_call_returns_what_its_function_returned(nursery):
    outcome = nursery.run("cell_tasks:square", {"x": 3}, EASY)
    assert (outcome.kind, outcome.result["square"]) == ("done", 9)
    assert outcome.messages == ({"phase": "squaring"},)
    assert outcome.phase == "squaring"
    assert outcome.free_bytes_at_start > 0


def test_every_call_is_a_new_child_of_the_same_parent_in_a_group_of_its_own(nursery):
    first, second = (nursery.run("cell_tasks:square", {"x": 3}, EASY).result for _ in range(2))
    assert first["pid"] != second["pid"]
    assert first["ppid"] == second["ppid"] == nursery.pid
    assert first["pgid"] == first["pid"]


def test_nothing_that_a_call_leaves_behind_reaches_the_next(nursery):
    nursery.run("cell_tasks:remember", {"x": 1}, EASY)
    assert nursery.run("cell_tasks:remember", {"x": 2}, EASY).result == {"before": None}


def test_messages_come_while_the_call_runs_and_the_last_ones_are_kept(nursery):
    told = []
    outcome = nursery.run("cell_tasks:chatter", {"n": 300, "size": 5000}, EASY, tell=told.append)
    assert [one["index"] for one in told] == list(range(300))
    assert [one["index"] for one in outcome.messages] == list(range(280, 300))


def test_the_seed_decides_what_is_drawn(nursery):
    draw = [nursery.run("cell_tasks:chance", {}, EASY, seed=seed).result["drawn"] for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


def test_an_exception_comes_with_class_message_traceback_and_digest(nursery):
    first, second = (nursery.run("cell_tasks:refuse", {}, EASY) for _ in range(2))
    assert (first.kind, first.exception, first.phase) == ("raised", "KeyError", "thinking")
    assert "LookupError" in first.bases
    assert "in refuse" in first.traceback
    assert first.traceback_digest == second.traceback_digest != ""


def test_what_is_not_json_is_an_exception_of_the_call(nursery):
    outcome = nursery.run("cell_tasks:give_a_set", {}, EASY)
    assert (outcome.kind, outcome.exception) == ("raised", "TypeError")


def test_an_exit_inside_a_call_is_an_exception_like_any_other(nursery):
    assert nursery.run("cell_tasks:exit_politely", {}, EASY).exception == "SystemExit"


def test_a_spawned_call_speaks_the_same_protocol(nursery):
    forked, spawned = (
        nursery.run("cell_tasks:square", {"x": 5}, EASY, spawn=spawn) for spawn in (False, True)
    )
    assert spawned.result["square"] == forked.result["square"] == 25
    assert spawned.messages == forked.messages
    assert spawned.cpu_s > forked.cpu_s


def test_the_time_limit_ends_a_call_and_says_where_it_was(nursery):
    began = time.monotonic()
    outcome = nursery.run("cell_tasks:ignore_and_sleep", {"seconds": 60}, Limits(seconds=0.2))
    assert time.monotonic() - began < 3
    assert (outcome.kind, outcome.signal, outcome.phase) == ("timeout", "SIGKILL", "sleeping")
    assert outcome.message == "did not end within 0.2 s"


def test_an_allocation_beyond_the_limit_is_refused_and_the_call_can_say_so(nursery):
    limits = Limits(seconds=20, memory_bytes=300 * MIB)
    outcome = nursery.run("cell_tasks:reserve", {"bytes": 400 * MIB}, limits)
    assert (outcome.kind, outcome.exception) == ("raised", "MemoryError")
    assert outcome.evidence == "allocator refused; RLIMIT_DATA held the process to 300 MiB"
    assert outcome.peak_bytes < 100 * MIB


def test_an_allocation_within_the_limit_is_granted(nursery):
    limits = Limits(seconds=20, memory_bytes=300 * MIB)
    outcome = nursery.run("cell_tasks:touch", {"bytes": 200 * MIB}, limits)
    assert (outcome.kind, outcome.evidence) == ("done", "")
    assert 200 * MIB < outcome.peak_bytes < 300 * MIB


def test_weights_that_are_only_mapped_count_once_they_are_touched(nursery, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(160 * MIB))
    limits = Limits(seconds=20, memory_bytes=100 * MIB)
    outcome = nursery.run("cell_tasks:touch_file", {"path": str(path), "pause": 0.005}, limits)
    assert (outcome.kind, outcome.signal) == ("memory", "SIGKILL")
    assert outcome.evidence.startswith("watcher: 1")
    assert outcome.evidence.endswith("MiB resident, above the limit of 100 MiB")
    assert 100 * MIB < outcome.peak_bytes < 160 * MIB
    enough = Limits(seconds=20, memory_bytes=260 * MIB)
    assert nursery.run("cell_tasks:touch_file", {"path": str(path)}, enough).kind == "done"


def test_the_peak_survives_a_reset_of_the_kernels_mark(nursery):
    outcome = nursery.run("cell_tasks:peak_before_reset", {"bytes": 80 * MIB}, EASY)
    assert outcome.peak_bytes - outcome.baseline_bytes > 75 * MIB


def test_a_cell_does_not_inherit_the_peak_of_its_parent_or_of_another_cell(nursery):
    nursery.run("cell_tasks:touch", {"bytes": 200 * MIB}, EASY)
    for spawn in (False, True):
        outcome = nursery.run("cell_tasks:square", {"x": 1}, EASY, spawn=spawn)
        assert outcome.peak_bytes < 60 * MIB


def test_a_function_outside_the_allowed_modules_is_refused(nursery):
    with pytest.raises(InputError, match="may not call 'os:system'"):
        nursery.run("os:system", {}, EASY)


def test_a_payload_that_is_not_json_is_refused(nursery):
    with pytest.raises(InputError, match="is not JSON"):
        nursery.run("cell_tasks:square", {"x": {1, 2}}, EASY)


def test_a_missing_library_is_named_with_its_extra():
    with pytest.raises(MissingExtraError, match="torchless"):
        Nursery(preload=("torchless.nn",), threads=1)


def test_a_parent_with_threads_starts_cells_afresh_and_says_so(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    with Nursery(preload=("thread_on_import",), threads=1, allowed=("cell_tasks",)) as nursery:
        for _ in range(2):
            assert nursery.run("cell_tasks:square", {"x": 2}, EASY).result["square"] == 4
        (finding,) = nursery.findings
        assert finding.code == "BEN020"
        assert "the warm parent has 2 threads" in finding.text


def test_a_module_that_cannot_be_imported_beforehand_is_a_finding(monkeypatch, tmp_path):
    (tmp_path / "broken_library.py").write_text("raise OSError('libfoo.so is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(HERE)
    with Nursery(preload=("broken_library",), threads=1, allowed=("cell_tasks",)) as nursery:
        assert nursery.run("cell_tasks:square", {"x": 2}, EASY).kind == "done"
        (finding,) = nursery.findings
        assert finding.code == "BEN021"
        assert (
            "broken_library could not be imported beforehand: OSError: libfoo.so is missing" in finding.text
        )


def test_no_descriptor_is_left_open(nursery):
    nursery.run("cell_tasks:square", {"x": 1}, EASY)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        nursery.run("cell_tasks:square", {"x": 1}, EASY)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_forked_call_costs_milliseconds(nursery):
    costs = [nursery.run("cell_tasks:square", {"x": 1}, EASY).cpu_s for _ in range(9)]
    assert statistics.median(costs) < 0.03


@pytest.fixture(scope="module")
def warm():
    """Start the parent as a bench does."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        with Nursery(threads=2, allowed=("cell_tasks",)) as one:
            yield one


def test_the_warm_parent_has_one_thread_and_its_cells_as_many_as_asked_for(warm):
    outcomes = [warm.run("cell_tasks:threads", {}, EASY, seed=7) for _ in range(2)]
    assert (warm.imports["threads"], warm.imports["failed"], warm.findings) == (1, {}, ())
    assert outcomes[0].result == outcomes[1].result
    assert outcomes[0].result["threads"] == 2


def test_a_warm_cell_costs_a_small_part_of_the_imports(warm):
    outcome = warm.run("cell_tasks:threads", {}, EASY)
    assert outcome.cpu_s < 0.1 * warm.imports["cpu_s"]
    assert outcome.peak_bytes - outcome.baseline_bytes < 50 * MIB
