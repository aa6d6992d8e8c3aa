"""What befalls cells of a bench: crashes, deaf and noisy children, dead parents, a dead driver."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalescope.errors import RunError
from scalescope.inference.nursery import Nursery
from scalescope.inference.requests import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TASKS = str(Path(__file__).parents[1] / "inference")
EASY = Limits(seconds=20)

DRIVER = """
import sys
from scalescope.inference.nursery import Nursery
from scalescope.inference.requests import Limits

def tell(message):
    sys.stdout.write(" ".join(map(str, [nursery.pid, *message["pids"]])) + "\\n")
    sys.stdout.flush()

with Nursery(preload=(), threads=1, allowed=("cell_tasks",)) as nursery:
    nursery.run("cell_tasks:multiply_processes", {"seconds": 600}, Limits(), tell=tell, spawn=%s)
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(seconds, pids):
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(alive, pids))


@pytest.fixture(scope="module")
def nursery():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TASKS)
        with Nursery(preload=(), threads=1, allowed=("cell_tasks",)) as one:
            yield one


@pytest.fixture(autouse=True)
def still_works(nursery):
    """Whatever a cell does, the next one runs."""
    yield
    assert nursery.run("cell_tasks:square", {"x": 3}, EASY).result["square"] == 9


def test_a_segmentation_fault_is_recorded_with_the_interpreters_report(nursery):
    first, second = (nursery.run("cell_tasks:segfault", {}, EASY) for _ in range(2))
    assert (first.kind, first.signal, first.message) == ("signal", "SIGSEGV", "killed by SIGSEGV")
    assert "in segfault" in first.traceback
    assert first.traceback_digest == second.traceback_digest


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGBUS", "SIGSTOP"])
def test_every_deadly_signal_is_named_and_none_is_called_want_of_memory(nursery, name):
    outcome = nursery.run("cell_tasks:signal_self", {"signal": name}, Limits(seconds=0.5))
    if name == "SIGSTOP":  # not dead, only the time limit ends it
        assert outcome.kind == "timeout"
    else:
        assert (outcome.kind, outcome.signal) == ("signal", name)
    assert "memory" not in outcome.evidence.replace(
        "for want of memory meanwhile, but not surely this one", ""
    )


def test_leaving_without_a_result_is_recorded_with_the_code_and_the_last_words(nursery):
    outcome = nursery.run("cell_tasks:leave", {"code": 3}, EASY)
    assert (outcome.kind, outcome.exit_code, outcome.output) == ("exit", 3, "had enough\n")
    assert outcome.message == "left with exit code 3 and without a result"


@pytest.mark.parametrize("spawn", [False, True])
def test_what_a_cell_starts_ends_with_it_even_outside_its_group(nursery, spawn):
    outcome = nursery.run("cell_tasks:multiply_processes", {}, EASY, spawn=spawn)
    assert outcome.kind == "done"
    assert gone_within(0.5, outcome.messages[0]["pids"])


def test_what_a_cell_starts_ends_with_its_time(nursery):
    outcome = nursery.run("cell_tasks:multiply_processes", {"seconds": 60}, Limits(seconds=0.3))
    assert outcome.kind == "timeout"
    assert gone_within(0.5, outcome.messages[0]["pids"])


def test_a_cell_that_closes_its_socket_is_waited_for_and_has_no_result(nursery):
    outcome = nursery.run("cell_tasks:close_everything", {}, EASY)
    assert (outcome.kind, outcome.exit_code) == ("exit", 0)
    assert outcome.wall_s >= 0.05


def test_ten_megabytes_of_print_are_no_result_and_only_their_end_is_kept(nursery):
    outcome = nursery.run("cell_tasks:shout", {"bytes": 10_000_000}, EASY)
    assert outcome.result == {"shouted": True}
    assert outcome.output.endswith("the end\n")
    assert len(outcome.output) < 20_000


def test_garbage_on_the_socket_is_dropped_and_counted(nursery):
    outcome = nursery.run("cell_tasks:send_garbage", {}, EASY)
    assert outcome.result == {"sent": True}
    assert outcome.evidence == "6 lines that are none of ours on its socket"


def test_a_cell_that_fills_memory_bit_by_bit_is_stopped_and_the_machine_is_not(nursery):
    limits = Limits(seconds=20, memory_bytes=120 << 20)
    outcome = nursery.run("cell_tasks:touch", {"bytes": 1 << 33}, limits)
    assert outcome.kind in ("raised", "memory")
    assert "RLIMIT_DATA" in outcome.evidence or "watcher" in outcome.evidence
    assert outcome.peak_bytes < 240 << 20


def test_a_killed_parent_loses_its_cell_says_so_and_is_replaced(nursery):
    nursery.warm_up()
    before, seen = nursery.pid, []

    def kill_the_parent(message):
        seen.append(message["pid"])
        os.kill(before, signal.SIGKILL)

    outcome = nursery.run("cell_tasks:sleep", {"seconds": 60}, EASY, tell=kill_the_parent)
    assert outcome.lost
    assert outcome.message == "the warm parent was killed by SIGKILL"
    assert gone_within(2, seen)
    assert nursery.run("cell_tasks:square", {"x": 3}, EASY).result["ppid"] == nursery.pid != before


def test_a_parent_killed_between_cells_costs_nothing_but_a_new_one(nursery):
    nursery.warm_up()
    os.kill(nursery.pid, signal.SIGKILL)
    outcome = nursery.run("cell_tasks:square", {"x": 3}, EASY)
    assert outcome.kind == "done" or outcome.lost  # it may die only after the next request


def test_a_parent_that_cannot_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "deadly_library.py").write_text(
        "import os, sys\nsys.stderr.write('no licence\\n')\nos._exit(7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with (
        Nursery(preload=("deadly_library",), threads=1) as nursery,
        pytest.raises(
            RunError, match=r"exit code 7 while it imported deadly_library; it said last: no licence"
        ),
    ):
        nursery.warm_up()


@pytest.mark.parametrize("spawn", [False, True])
def test_a_killed_driver_takes_everything_with_it(spawn):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([TASKS, *filter(None, sys.path)])}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER % spawn], stdout=subprocess.PIPE, env=environment, text=True
    )
    pids: list[int] = []
    try:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        assert len(pids) == 4
        assert all(map(alive, pids))
        driver.kill()
        driver.wait()
        assert gone_within(2, pids)
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_an_exception_in_the_drivers_own_code_ends_the_cell(nursery):
    pids = []

    def interrupt(message):
        pids.append(message["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nursery.run("cell_tasks:sleep", {"seconds": 60}, EASY, tell=interrupt)
    assert gone_within(2, pids)


def test_the_driver_does_not_spin_while_a_cell_without_streams_runs(nursery):
    before = time.process_time()
    outcome = nursery.run("cell_tasks:close_streams", {}, EASY)
    assert outcome.wall_s >= 0.4
    assert time.process_time() - before < 0.1


def test_a_parent_that_answers_no_more_is_ended_and_replaced(nursery, monkeypatch):
    monkeypatch.setattr("scalescope.inference.nursery.SECONDS_TO_ANSWER", 0.5)
    pids = []

    def stop_the_parent(message):
        pids.append(message["pid"])
        os.kill(nursery.pid, signal.SIGSTOP)

    outcome = nursery.run("cell_tasks:sleep", {"seconds": 60}, Limits(seconds=0.3), tell=stop_the_parent)
    assert outcome.lost
    assert gone_within(2, pids)
