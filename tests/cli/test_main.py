from __future__ import annotations

import errno
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scalescope.cli import main
from scalescope.cli.app import build
from scalescope.cli.machine import Extra, examine
from scalescope.cli.overview import GROUPS, VERBS, overview
from scalescope.errors import LedgerError

COMMAND = [sys.executable, "-m", "scalescope"]


def failing(monkeypatch, error):
    def run(words):
        raise error

    monkeypatch.setattr("scalescope.cli.app.run", run)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_first_screen_names_every_verb_and_a_first_step(command, words):
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    assert all(f"  {verb} " in out for verb in VERBS)
    assert out.splitlines()[-1] == "next: scalescope demo"
    assert max(map(len, overview().splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_the_first_screen_says_what_the_command_says_of_itself(verb):
    sentences = {verb: sentence for group in GROUPS.values() for verb, sentence in group.items()}
    assert build()[verb].help.splitlines()[0] == sentences[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_each_of_its_options(command, verb):
    code, out, _ = command(verb, "--help")
    assert code == 0
    assert f"Usage: scalescope {verb}" in out
    assert "--json" in out
    for line in out.splitlines():
        words = line.strip("│ ").split()
        if words and words[0].startswith("--"):
            assert len(words) > 2, f"{words[0]} is not explained"


def test_the_version_is_that_of_the_installed_package(command):
    assert command("--version") == (0, f"scalescope {metadata.version('scalescope')}\n", "")


def test_the_module_is_the_command():
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("scalescope ")


def test_an_interrupt_is_one_line_and_says_that_nothing_is_lost(command, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    code, out, err = command("laws")
    assert (code, out) == (130, "")
    assert err.startswith("error: interrupted\nhint: ")


def test_work_that_failed_exits_with_one(command, monkeypatch):
    failing(monkeypatch, LedgerError("the ledger\nis damaged", hint="Move it away."))
    assert command("laws") == (1, "", "error: the ledger is damaged\nhint: Move it away.\n")


def test_a_full_disk_is_one_line(command, monkeypatch):
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "runs.csv"))
    code, out, err = command("laws")
    assert (code, out) == (1, "")
    assert err.startswith("error: No space left on device: runs.csv\n")


def test_an_error_of_ours_is_shown_as_what_it_is(monkeypatch):
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["laws"])


def test_a_full_output_device_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        pipes = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        done = subprocess.run([*COMMAND, "laws"], **pipes, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: No space left on device"
    assert len(done.stderr.splitlines()) == 2


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen([*COMMAND, "laws"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


class TestDoctor:
    def test_it_shows_the_machine_and_what_is_missing(self, command, monkeypatch):
        monkeypatch.setattr("scalescope.cli.machine._rates", lambda: {"numpy float32": 5e10})
        monkeypatch.setattr(
            "scalescope.cli.machine._version", lambda library: "" if library == "ray" else "1.0"
        )
        code, out, _ = command("doctor")
        assert code == 0
        assert "50.0 GFLOP/s" in out
        assert "missing ray: pip install 'scalescope[ray]'" in out
        assert "torch 1.0" in out

    def test_json_holds_base_units(self, command, monkeypatch):
        monkeypatch.setattr("scalescope.cli.machine._rates", lambda: {"numpy float32": 5e10})
        plain = json.loads(command("doctor", "--json")[1])
        assert plain["schema"] == "scalescope.doctor/1"
        assert plain["memory_bytes"] > plain["memory_free_bytes"] > 0
        assert plain["cores"] > 0
        assert plain["matmul_flop_per_s"] == {"numpy float32": 5e10}

    def test_the_extras_are_those_of_the_package(self):
        names = {extra.name for extra in examine(measure=False).extras}
        assert names == set(metadata.metadata("scalescope").get_all("Provides-Extra")) - {"dev"}

    def test_the_measured_rate_is_that_of_a_computer(self):
        from scalescope.cli.machine import _numpy_rate

        assert 1e8 < _numpy_rate(size=256, seconds=0.05) < 1e14

    @pytest.mark.torch
    @pytest.mark.slow
    def test_torch_is_measured_on_one_thread_and_its_threads_restored(self):
        torch = pytest.importorskip("torch")
        from scalescope.training.matmul import matmul_rate

        before = torch.get_num_threads()
        assert 1e8 < matmul_rate("float32", size=256, seconds=0.05) < 1e13
        assert torch.get_num_threads() == before

    def test_an_extra_says_how_to_get_it(self):
        assert Extra(name="ray", installed={}, missing=("ray",)).install == "pip install 'scalescope[ray]'"
