"""Trials of a study that take several processes each."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
from training_files import write_run

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

from scalescope.corpora.preparing import prepare_corpus  # noqa: E402
from scalescope.cost import Shape  # noqa: E402
from scalescope.cost.layout import Layout  # noqa: E402
from scalescope.executors import LocalExecutor, Task  # noqa: E402
from scalescope.executors.gangs import free_port  # noqa: E402
from scalescope.studies.driver import SPREAD  # noqa: E402
from scalescope.training.distributed import gang_trial  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402

SHAPE = Shape(width=8, n_layers=2, n_heads=2, n_kv_heads=2, feed_forward=8, vocabulary=256, context=16)
ALLOWED = ("scalescope.", "gang_faults.")
LIMIT_S = 240


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gang")
    write_run(folder)
    return prepare_corpus(str(folder / "text"), folder / "corpus")


def task_of(corpus, key="one", function=SPREAD, **more):
    trial = Trial(
        name="d8-L2-s1",
        shape=SHAPE,
        seed=1,
        horizons=(512, 1024),
        layout=Layout(fsdp=2, micro_batch=4),
        evaluation_tokens=512,
        seconds=600.0,
    )
    return Task(
        key=key,
        function=function,
        payload={"trial": msgspec.to_builtins(trial), "corpus": corpus.to_dict(), **more},
        files={"train": Path(corpus.train_file), "held_out": Path(corpus.held_out_file)},
        processes=2,
    )


def collect(executor, *tasks):
    for task in tasks:
        executor.submit(task)
    events, deadline = [], time.monotonic() + LIMIT_S
    while len(ends_of(events)) < len(tasks):
        events += executor.events(5.0)
        assert time.monotonic() < deadline, events
    return events


def ends_of(events):
    return {event.key: event for event in events if event.kind in ("done", "failed", "lost")}


def losses(events, key="one"):
    return [event.data["loss"] for event in events if event.key == key and event.data.get("kind") == "point"]


def alone(task):
    """Train the same in this process."""
    told = []
    payload = {**task.payload, **{name: str(path) for name, path in task.files.items()}}
    payload["trial"] = {**payload["trial"], "layout": {"micro_batch": 4}}
    gang = {"rank": 0, "size": 1, "meeting": f"127.0.0.1:{free_port()}"}
    gang_trial.run(payload | {"gang": gang}, told.append)
    return [message["loss"] for message in told if message["kind"] == "point"]


def test_a_trial_of_two_processes_is_that_of_one_and_its_faults_are_told_apart(corpus, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    faults = [task_of(corpus, how, "gang_faults:run", how=how, timeout_s=10.0) for how in ("raise", "hang")]
    with LocalExecutor(2, allowed=ALLOWED) as executor:
        events = collect(executor, task_of(corpus), *faults)
    ends = ends_of(events)
    assert ends["one"].kind == "done" and ends["one"].data["cut"] == []
    assert len(losses(events)) == 2
    assert losses(events) == pytest.approx(alone(task_of(corpus)), rel=1e-5)
    raised, hung = ends["raise"], ends["hang"]
    assert (raised.kind, raised.data["cause"]) == ("failed", "rank 1 of 2: ValueError: no such tensor")
    assert hung.kind == "lost"
    assert "rank 0 of 2: the worker ended with exit code 1" in hung.data["cause"]
    assert "rank 1 did not come in step 3" in hung.data["cause"]


@pytest.mark.ray
def test_trials_of_two_processes_are_placed_on_the_nodes_of_a_ray_cluster(corpus, monkeypatch):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    from scalescope.executors.ray import RayExecutor

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        with RayExecutor(cluster.address) as executor:
            events = collect(executor, task_of(corpus, "one"), task_of(corpus, "two"))
    finally:
        cluster.shutdown()
    assert {event.key for event in events if event.kind == "done"} == {"one", "two"}
    assert losses(events, "one") == losses(events, "two") == pytest.approx(alone(task_of(corpus)), rel=1e-5)
