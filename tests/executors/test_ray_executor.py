"""The Ray engine on a real cluster of nodes on this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from scalescope.errors import InputError, MissingExtraError, RunError
from scalescope.executors import LocalExecutor, Task, open_executor
from scalescope.executors.ray import RayExecutor

ALLOWED = ("scalescope.", "executor_tasks.")


def task(key, function, files=None, **payload):
    return Task(key=key, function=f"executor_tasks:{function}", payload=payload, files=files or {})


def collect(executor, until=lambda event: False, seconds=40.0):
    """Take events until one satisfies `until`, or until nothing is under way."""
    events = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        new = list(executor.events(5.0))
        events += new
        # nothing in five seconds says little on a busy machine while tasks are under way
        if any(until(event) for event in new) or not (new or executor._gangs):
            return events
    raise TimeoutError(f"only {events}")


def run(executor, *tasks):
    for each in tasks:
        executor.submit(each)
    return collect(executor)


def outcomes(events):
    return {event.key: event for event in events if event.kind in ("done", "failed", "lost")}


class TestAddresses:
    @pytest.fixture(autouse=True)
    def _needs_ray(self):
        pytest.importorskip("ray", reason="the extra ray is not installed")

    @pytest.mark.parametrize("address", ["nonsense", "ray://127.0.0.1:10001", "127.0.0.1", ":6379", "host:"])
    def test_that_are_none_are_refused(self, address):
        with pytest.raises(InputError, match="is not the address") as caught:
            RayExecutor(address)
        assert "ray start" in caught.value.hint

    def test_where_nothing_listens_are_refused_at_once(self):
        with socket.socket() as taken:  # bound and not listening: nobody else takes the port
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(InputError, match="nothing answers at"):
                open_executor("ray", address=f"127.0.0.1:{taken.getsockname()[1]}")

    @pytest.mark.parametrize("numbers", [{"slots": 0}, {"threads": 0}])
    def test_come_after_the_numbers(self, numbers):
        with pytest.raises(InputError, match="at least 1"):
            RayExecutor("nonsense", **numbers)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        open_executor("ray")
    assert "scalescope[ray]" in caught.value.hint


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
    with pytest.MonkeyPatch.context() as patch:
        # Workers of a cluster import what is installed on their node, here the tests' tasks too.
        paths = [str(Path(__file__).parent), *filter(None, sys.path)]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        notice_death_soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
        head = node | {"include_dashboard": False, "_system_config": notice_death_soon}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def executor(cluster):
    with RayExecutor(cluster.address, allowed=ALLOWED) as executor:
        yield executor


@pytest.mark.ray
@pytest.mark.slow
class TestCluster:
    def test_delivers_what_the_local_engine_delivers(self, executor):
        tasks = (
            task("square", "square", x=3),
            task("nothing", "nothing"),
            task("tuples", "tuples"),
            task("refuse", "refuse"),
            task("leave", "leave"),
            task("give_a_set", "give_a_set"),
            task("echo", "echo", text="x" * 1_000_000),
        )
        with LocalExecutor(1, allowed=ALLOWED) as local:
            wanted = run(local, *tasks)
        found = run(executor, *tasks)

        def told(events, key):
            return [
                (event.kind, {name: value for name, value in event.data.items() if name != "traceback"})
                for event in events
                if event.key == key
            ]

        assert {each.key: told(found, each.key) for each in tasks} == {
            each.key: told(wanted, each.key) for each in tasks
        }

    def test_messages_arrive_while_the_task_runs(self, executor):
        executor.submit(task("a", "wait"))
        events = collect(executor, lambda event: event.kind == "message")
        assert [event.kind for event in events] == ["started", "message"]
        executor.cancel("a")
        assert list(executor.events(5.0)) == []

    def test_a_worker_that_dies_loses_its_task_and_nothing_else(self, executor):
        events = run(
            executor, task("a", "die", signal="SIGKILL"), *(task(str(x), "square", x=x) for x in range(4))
        )
        ends = outcomes(events)
        assert ends["a"].kind == "lost"
        assert "\n" not in ends["a"].data["cause"]
        assert [ends[str(x)].data for x in range(4)] == [{"square": x * x} for x in range(4)]

    def test_a_cancelled_key_can_be_used_again(self, executor):
        executor.submit(task("a", "wait"))
        collect(executor, lambda event: event.kind == "message")
        executor.cancel("a")
        assert outcomes(run(executor, task("a", "square", x=4)))["a"].data == {"square": 16}

    def test_files_are_sent_once_for_each_content_and_kept_under_their_digest(self, executor, tmp_path):
        content = os.urandom(1_000_000)  # which no earlier run has left in the cache
        for name in ("one.bin", "two.bin"):
            (tmp_path / name).write_bytes(content)
        events = run(
            executor,
            task("a", "read", {"corpus": tmp_path / "one.bin"}),
            task("b", "read", {"corpus": tmp_path / "two.bin"}),
        )
        first, second = (outcomes(events)[key].data for key in "ab")
        assert first == second
        assert Path(first["path"]).name == f"{first['sha256']}.bin"
        assert len(executor._stored) == 1
        assert Path(first["path"]).read_bytes() == content
        Path(first["path"]).unlink()

    def test_bad_tasks_are_refused_before_they_are_sent(self, executor, tmp_path):
        with pytest.raises(InputError, match="may not call"):
            executor.submit(Task(key="a", function="os:getpid", payload={}))
        with pytest.raises(InputError, match="not JSON"):
            executor.submit(task("a", "square", x={1}))
        with pytest.raises(InputError, match="cannot read"):
            executor.submit(task("a", "read", {"corpus": tmp_path / "absent"}))
        assert list(executor.events(5.0)) == []

    def test_more_threads_than_any_node_has_are_refused(self, cluster):
        with pytest.raises(InputError, match="no node of the Ray cluster has 64 cores"):
            RayExecutor(cluster.address, threads=64)

    def test_a_closed_executor_takes_nothing(self, cluster):
        executor = RayExecutor(cluster.address, 1)
        executor.close()
        with pytest.raises(RunError, match="closed"):
            executor.submit(task("a", "square", x=1))

    def test_a_gang_larger_than_a_node_meets_over_two_of_them(self, cluster):
        second = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
        cluster.wait_for_nodes()
        meet = Task(key="three", function="executor_tasks:meet", payload={}, processes=3)
        dying = {"which": 1, "how": "die"}
        dies = Task(key="dies", function="executor_tasks:one_rank_ends", payload=dying, processes=2)
        with RayExecutor(cluster.address, allowed=ALLOWED) as executor:
            ends = outcomes(run(executor, meet, dies, replace(meet, key="two", processes=2)))
            assert ends["three"].data["total"] == 3
            assert ends["two"].data["total"] == 1
            assert (ends["dies"].kind, ends["dies"].data["cause"][:13]) == ("lost", "rank 1 of 2: ")
            with pytest.raises(InputError, match="5 processes side by side and there are 4 slots"):
                executor.submit(replace(meet, processes=5))
        cluster.remove_node(second)

    def test_a_node_that_dies_loses_its_tasks_and_they_can_be_made_again(self, cluster, capfd):
        tasks = {str(x): task(str(x), "work", x=x, steps=20, seconds=2.0) for x in range(6)}
        with LocalExecutor(6, allowed=ALLOWED) as local:
            wanted = {key: event.data for key, event in outcomes(run(local, *tasks.values())).items()}
        second = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
        cluster.wait_for_nodes()
        raylet = second.all_processes["raylet"][0].process.pid
        with RayExecutor(cluster.address, allowed=ALLOWED) as executor:
            assert executor.slots == 4
            for each in tasks.values():
                executor.submit(each)
            events, there = [], set()
            while len(there) < 2:  # until the second node works on two tasks and has told of them
                events += collect(executor, lambda event: event.kind == "message")
                there = {event.key for event in events if event.data.get("parent") == raylet}
            cluster.remove_node(second, allow_graceful=False)
            events += collect(executor)
            ends = outcomes(events)
            lost = {key for key, event in ends.items() if event.kind == "lost"}
            here = {event.key for event in events if event.data.get("parent") not in (None, raylet)}
            assert there <= lost
            assert len(here) >= 2
            assert not here & lost
            assert ends.keys() == tasks.keys()
            results = {key: event.data for key, event in ends.items() if event.kind == "done"}
            while lost:  # what was under way to the dead node may be lost once more
                ends = outcomes(run(executor, *(tasks[key] for key in lost)))
                results |= {key: event.data for key, event in ends.items() if event.kind == "done"}
                lost = {key for key, event in ends.items() if event.kind == "lost"}
            assert results == wanted
            deadline = time.monotonic() + 20
            while executor.slots != 2:  # Ray takes some seconds to be sure that a node is dead
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert capfd.readouterr().out == ""
