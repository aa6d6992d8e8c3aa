"""What befalls a study: dead drivers, workers and nodes, Ctrl-C, divergence, full disks, bad input."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_study

from scalescope.cli import main
from scalescope.errors import ScalescopeError
from scalescope.ledgers.ledger import Ledger

SCRIPT = Path(tiny_study.__file__)
SECONDS = 120


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid):
    """Return the living processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def losses(folder):
    with Ledger.read(folder) as ledger:
        return {point.key: point.data["loss"] for point in ledger.points()}


def wait_for(process, folder, ready):
    """Wait until what the ledger holds satisfies `ready`."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        if (folder / "ledger.sqlite").exists():
            try:
                with Ledger.read(folder) as ledger:
                    if ready(ledger):
                        return
            except ScalescopeError:  # between its making and its first change
                pass
        time.sleep(0.05)
    raise TimeoutError(folder)


@contextmanager
def command(text, folder):
    """Run the tiny study as a command of its own, with the end of it made sure."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [sys.executable, SCRIPT, "study", text, "--out", folder, *tiny_study.OPTIONS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(text, folder):
    """Give the same command again and let it end; return what it said."""
    with command(text, folder) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return out


@pytest.mark.xdist_group("trained")
@pytest.mark.torch
@pytest.mark.slow
class TestKilling:
    def test_the_driver_loses_nothing_recorded_and_the_same_command_ends_with_the_same_points(
        self, trained, tmp_path
    ):
        folder = tmp_path / "study"
        with command(trained.text, folder) as process:
            wait_for(process, folder, lambda ledger: len(ledger.points()) >= 8)
            workers = children(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
        kept = losses(folder)
        assert 8 <= len(kept) < len(trained.losses)
        deadline = time.monotonic() + 5
        while any(alive(pid) for pid in workers):
            assert time.monotonic() < deadline, "a worker outlived its driver"
            time.sleep(0.05)
        out = finish(trained.text, folder)
        assert out.splitlines()[-2] == f"report: {folder / 'report.html'}"
        assert kept.items() <= losses(folder).items()
        assert losses(folder) == trained.losses

    def test_workers_cost_an_attempt_and_no_point(self, trained, tmp_path):
        from scalescope.corpora.corpus import open_corpus
        from scalescope.executors import LocalExecutor
        from scalescope.studies.driver import Driver, Planned

        with Ledger.read(trained.folder) as ledger:
            kept = [trial for trial in ledger.trials("done") if trial.payload["phase"] == "grid"][-6:]
        planned = [Planned.from_payload(trial.key, trial.payload) for trial in kept]
        folder, others, killed = tmp_path / "study", set(children(os.getpid())), []

        def watch(status):
            if status.n_done >= 2 and status.n_running == 2 and not killed:
                killed.extend(set(children(os.getpid())) - others)
                for worker in killed:
                    os.kill(worker, signal.SIGKILL)

        corpus = open_corpus(trained.folder / "corpus")
        with LocalExecutor(2) as executor, Ledger.open(folder) as ledger:
            Driver(ledger, executor, corpus, tiny_study.MACHINE, watch).run(planned)
        assert len(killed) == 2
        assert losses(folder) == {key: trained.losses[key] for key in losses(folder)}
        assert len(losses(folder)) == sum(len(item.budgets) for item in planned)
        with Ledger.read(folder) as ledger:
            lost = {event.data["trial"]: event.data["cause"] for event in ledger.events("lost")}
            attempts = {trial.key: trial.attempts for trial in ledger.trials()}
            assert {trial.state for trial in ledger.trials()} == {"done"}
        assert len(lost) in (1, 2)  # one of the workers may just have ended its trial
        assert all("SIGKILL" in cause and attempts[key] == 2 for key, cause in lost.items())

    def test_ctrl_c_is_two_lines_and_leaves_a_study_that_goes_on(self, trained, tmp_path):
        folder = tmp_path / "study"
        with command(trained.text, folder) as process:
            wait_for(process, folder, lambda ledger: len(ledger.points()) >= 5)
            workers = children(process.pid)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-2:] == [
            "error: interrupted",
            "hint: What is recorded stays; the same command goes on.",
        ]
        assert "Traceback" not in err
        assert not any(alive(pid) for pid in workers)
        assert losses(folder).items() <= trained.losses.items()
        with Ledger.open(folder) as ledger:
            assert "STU001" not in {finding.code for finding in ledger.findings()}
            ledger.reset_interrupted()
            assert ledger.trials("pending")
            assert not ledger.trials("running")


@pytest.mark.xdist_group("trained")
@pytest.mark.torch
@pytest.mark.slow
def test_a_trial_that_diverges_is_recorded_with_its_cause_and_the_study_goes_on(trained, tmp_path):
    from scalescope.corpora.corpus import open_corpus
    from scalescope.executors import LocalExecutor
    from scalescope.studies.driver import Driver, Planned

    with Ledger.read(trained.folder) as ledger:
        kept = ledger.trials("done")[0]
    good = Planned.from_payload(kept.key, kept.payload)
    recipe = replace(good.trial.recipe, rate=1e6)
    bad = replace(good, key="bad", trial=replace(good.trial, name="bad", recipe=recipe))
    corpus = open_corpus(trained.folder / "corpus")
    with LocalExecutor(1) as executor, Ledger.open(tmp_path / "study") as ledger:
        Driver(ledger, executor, corpus, tiny_study.MACHINE, lambda _: None).run([bad, good])
        (failed,) = ledger.trials("failed")
        assert failed.key == "bad"
        assert failed.cause.startswith("DivergedError: diverged: ")
        assert failed.attempts == 1
        assert [trial.key for trial in ledger.trials("done")] == [good.key]
        assert {point.trial for point in ledger.points()} == {good.key}


@pytest.mark.ray
@pytest.mark.xdist_group("trained")
@pytest.mark.torch
@pytest.mark.slow
def test_a_ray_node_that_dies_costs_nothing_and_the_points_are_those_of_this_machine(trained, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    from scalescope.corpora.corpus import open_corpus
    from scalescope.executors.ray import RayExecutor
    from scalescope.studies.driver import Driver, Planned

    with Ledger.read(trained.folder) as ledger:
        kept = [trial for trial in ledger.trials("done") if trial.payload["phase"] == "grid"][-6:]
    planned = [Planned.from_payload(trial.key, trial.payload) for trial in kept]
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
    cluster = Cluster(
        initialize_head=True, head_node_args=node | {"include_dashboard": False, "_system_config": soon}
    )
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        removed = []

        def watch(status):
            if status.n_done >= 2 and status.n_running == 2 and not removed:
                removed.append(status.n_done)
                cluster.remove_node(second, allow_graceful=False)

        machine = replace(tiny_study.MACHINE, slots=2)
        with (
            RayExecutor(cluster.address) as executor,
            Ledger.open(tmp_path / "study") as ledger,
        ):
            corpus = open_corpus(trained.folder / "corpus")
            Driver(ledger, executor, corpus, machine, watch).run(planned)
            assert removed
            assert {trial.state for trial in ledger.trials()} == {"done"}
            assert ledger.events("lost")
    finally:
        cluster.shutdown()
    wanted = {key: trained.losses[key] for key in losses(tmp_path / "study")}
    assert len(wanted) == sum(len(item.budgets) for item in planned)
    assert losses(tmp_path / "study") == pytest.approx(wanted, rel=1e-6)


@pytest.fixture
def simulated(monkeypatch):
    return tiny_study.simulate(monkeypatch)


@pytest.fixture
def text(tmp_path):
    return tiny_study.write_text(tmp_path / "text")


@pytest.fixture
def run(capsys, simulated, text, tmp_path):
    """Run the command on simulated trials; return its exit code and what it complained about."""

    def call(*words, text=text, out=tmp_path / "out", budget=tiny_study.BUDGET):
        given = ["study", text, "--out", out, "--budget", budget, "--context", tiny_study.CONTEXT, *words]
        code = main([str(word) for word in given])
        written = capsys.readouterr()
        if code == 0:
            return 0, ""
        assert written.out == ""
        assert "Traceback" not in written.err
        error, hint = written.err.splitlines()[-2:]
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        return code, error

    return call


class TestInput:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "holds no text"),
            (b"\x7fELF\0\0" * 1000, "holds no text"),
            (b"much too short\n" * 100, "training tokens and needs at least"),
        ],
    )
    def test_a_text_that_is_none_is_refused(self, run, tmp_path, content, message):
        (tmp_path / "file").write_bytes(content)
        code, error = run(text=tmp_path / "file")
        assert code == 2
        assert message in error

    def test_a_text_that_is_too_small_for_the_design_says_how_many_epochs(self, run):
        code, error = run(budget="1e14")
        assert code == 2
        assert "training tokens" in error
        assert "epochs" in error

    def test_what_was_refused_does_not_bind_the_folder(self, run):
        assert run(budget="1e14")[0] == 2
        assert run(budget="1e9")[0] == 2
        assert run()[0] == 0

    def test_a_folder_with_other_things_is_refused_and_left_alone(self, run, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "thesis.tex").write_text("x")
        code, error = run(out=tmp_path / "thesis")
        assert code == 2
        assert "is not empty and holds no study" in error
        assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]

    def test_a_folder_with_another_study_is_refused_with_what_differs(self, run, tmp_path):
        assert run()[0] == 0
        code, error = run("--seed", "1")
        assert code == 2
        assert "settings.seed is 0 there and 1 here" in error


class TestLedger:
    def test_that_was_cut_is_restored_and_the_study_is_whole(self, run, tmp_path):
        assert run()[0] == 0
        before = losses(tmp_path / "out")
        os.truncate(tmp_path / "out" / "ledger.sqlite", 5000)
        assert run()[0] == 0
        assert losses(tmp_path / "out") == before

    def test_that_was_cut_without_a_backup_is_refused_and_left_alone(self, run, tmp_path):
        assert run()[0] == 0
        (tmp_path / "out" / "ledger.backup.sqlite").unlink()
        os.truncate(tmp_path / "out" / "ledger.sqlite", 5000)
        code, error = run()
        assert code == 1
        assert "is damaged" in error
        assert (tmp_path / "out" / "ledger.sqlite").stat().st_size == 5000

    def test_from_a_newer_version_is_refused(self, run, simulated, tmp_path):
        simulated.stop_after = 5
        assert run()[0] == 130
        with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as connection:
            connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
        connection.close()
        code, error = run()
        assert code == 1
        assert "newer version" in error

    def test_in_use_by_another_driver_is_refused(self, run, tmp_path):
        with Ledger.open(tmp_path / "out"):
            code, error = run()
        assert code == 1
        assert "another scalescope is at work" in error


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("mount is not there")
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on_with_all_points(run, small_disk):
    study, filler = small_disk / "out", small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free - 420 * 1024))  # room for the corpus and the first points
    code, error = run(out=study)
    assert code == 1
    assert "space" in error
    filler.unlink()
    kept = losses(study)
    assert kept
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    assert run(out=study)[0] == 0
    assert kept.items() <= losses(study).items()


def test_without_torch_the_command_says_what_to_install(text, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from scalescope.cli import main; sys.exit(main())"
    for words in ([], ["--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-c", code, "study", text, "--out", tmp_path / "out", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.splitlines()[-2:] == [
            "error: this needs torch, which is not installed",
            "hint: pip install 'scalescope[train]'",
        ]
    assert not (tmp_path / "out").exists()
