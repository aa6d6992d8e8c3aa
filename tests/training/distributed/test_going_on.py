"""Runs that are kept, ended and started again; here as one process that stands alone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from training_files import rows_of, write_run

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

import safetensors.torch  # noqa: E402
from safetensors import SafetensorError  # noqa: E402

from scalescope.training.distributed import joining  # noqa: E402
from scalescope.training.distributed.__main__ import main  # noqa: E402
from scalescope.training.distributed.checkpoints import newest, opened  # noqa: E402
from scalescope.training.distributed.export import main as export  # noqa: E402
from scalescope.training.distributed.journal import Journal  # noqa: E402
from scalescope.training.llama_files import import_llama  # noqa: E402
from scalescope.training.weights import load_weights, weights_of  # noqa: E402

STEPS = 8
KEPT = '[checkpoint]\nfolder = "{folder}/kept"\nevery = 3\n'


class Killed(BaseException):
    """Stands for the end of a process that nobody can catch."""


@pytest.fixture(autouse=True)
def left_alone():
    yield
    leave()


def leave():
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def config(folder, *, steps=STEPS, recipe='optimizer = "adamw"'):
    folder.mkdir()
    path = write_run(folder, steps=steps)
    path.write_text(path.read_text() + f"\n[recipe]\n{recipe}\n" + KEPT.format(folder=folder))
    return path


def run(path):
    try:
        return main(["--layout", "micro_batch=4", "--config", str(path)])
    finally:
        leave()


def ends_after(monkeypatch, step, how):
    """End a run while it tells of a step, once."""
    plain = Journal.step
    ends = [step]

    def told(self, **row):
        plain(self, **row)
        if [row["step"]] == ends:
            ends.clear()
            how()

    monkeypatch.setattr(Journal, "step", told)


def kill():
    raise Killed


def curve(folder):
    return [
        (row["step"], row["tokens"], row["loss"], row["gradient_norm"]) for row in rows_of(folder, "step")
    ]


def steps_kept(folder):
    return sorted(int(path.name.partition("-")[2]) for path in (folder / "kept").iterdir())


@pytest.mark.parametrize("recipe", ['optimizer = "muon"', 'schedule = "cosine"'])
def test_a_killed_run_goes_on_to_the_bit_and_tells_every_step_once(tmp_path, monkeypatch, recipe):
    assert run(config(tmp_path / "whole", recipe=recipe)) == 0
    path = config(tmp_path / "killed", recipe=recipe)
    ends_after(monkeypatch, 5, kill)
    with pytest.raises(Killed):
        run(path)
    assert [row["step"] for row in rows_of(tmp_path / "killed", "step")] == [1, 2, 3, 4, 5]
    assert run(path) == 0
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert [row["step"] for row in rows_of(tmp_path / "killed", "resumed")] == [3]
    points = [rows_of(tmp_path / name, "point") for name in ("whole", "killed")]
    assert [len(found) for found in points] == [1, 1] and points[0][0]["loss"] == points[1][0]["loss"]
    assert steps_kept(tmp_path / "killed") == [6, 8]


def test_sigterm_keeps_the_step_at_which_a_run_ends(tmp_path, monkeypatch):
    path = config(tmp_path / "run")
    ends_after(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(path) == 0
    assert steps_kept(tmp_path / "run") == [3, 4]
    (finding,) = rows_of(tmp_path / "run", "finding")
    assert finding["code"] == "TRN140" and "goes on after step 4" in finding["hint"]
    assert run(path) == 0
    assert [row["step"] for row in rows_of(tmp_path / "run", "step")] == list(range(1, STEPS + 1))


def test_a_rank_that_leaves_writes_its_cause_though_torchrun_ends_it(tmp_path, monkeypatch):
    path, plain = config(tmp_path / "run"), joining.record_failure
    hearing = signal.getsignal(signal.SIGTERM)

    def fail():
        raise ValueError("no such tensor")

    def told(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return plain(*given)

    ends_after(monkeypatch, 4, fail)
    monkeypatch.setattr(joining, "record_failure", told)
    assert run(path) == 1
    cause = json.loads((tmp_path / "run/log/failure-0.json").read_text())["cause"]
    assert cause == "no such tensor"
    assert signal.getsignal(signal.SIGTERM) == hearing


@pytest.mark.parametrize("harm", ["flipped", "shortened", "absent", "manifest"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, harm, capsys):
    path = config(tmp_path / "run")
    assert run(path) == 0
    before = curve(tmp_path / "run")
    damage(tmp_path / "run/kept/step-000000008", harm)
    assert run(path) == 0
    (finding,) = rows_of(tmp_path / "run", "finding")
    assert finding["code"] == "TRN130"
    assert "step-000000008 is damaged" in finding["text"] and "step-000000006 was used" in finding["text"]
    assert curve(tmp_path / "run") == before
    for name in ("step-000000006", "step-000000008"):
        damage(tmp_path / "run/kept" / name, harm)
    capsys.readouterr()
    assert run(path) == 1
    assert "is whole (step-000000008:" in capsys.readouterr().err


def damage(place, harm):
    path = place / ("checkpoint.json" if harm == "manifest" else "rank-00000.safetensors")
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    if harm == "absent":
        path.unlink()
    else:
        path.write_bytes(data[:-100] if harm == "shortened" else data)


def test_a_full_disk_ends_a_run_with_one_line_and_the_checkpoint_before_is_there(
    tmp_path, monkeypatch, capsys
):
    plain, calls = safetensors.torch.save_file, []

    def save(tensors, path):
        calls.append(path)
        if len(calls) == 2:
            Path(path).write_bytes(b"half")
            raise SafetensorError("Error while serializing: No space left on device (os error 28)")
        plain(tensors, path)

    monkeypatch.setattr(safetensors.torch, "save_file", save)
    path = config(tmp_path / "run")
    assert run(path) == 1
    told = capsys.readouterr().err.splitlines()
    assert "cannot write the checkpoint" in told[-2] and "No space left on device" in told[-2]
    assert [one.name for one in (tmp_path / "run/kept").iterdir()] == ["step-000000003"]
    assert run(path) == 0
    assert [row["step"] for row in rows_of(tmp_path / "run", "resumed")] == [3]


def test_a_checkpoint_of_another_run_is_refused(tmp_path, capsys):
    path = config(tmp_path / "run", steps=3)
    assert run(path) == 0
    text = path.read_text()
    for old, new, told in (
        ("feed_forward = 8", "feed_forward = 16", "feed_forward was 8 and is 16"),
        ('"adamw"', '"lion"', "optimizer was adamw and is lion"),
    ):
        path.write_text(text.replace(old, new))
        assert run(path) == 2
        assert told in capsys.readouterr().err
    path.write_text(text.replace("/log", "/other-log"))
    (tmp_path / "run/text/0.txt").write_text("other words " * 500)
    assert run(path) == 2
    assert "text was" in capsys.readouterr().err
    assert len(rows_of(tmp_path / "run", "step")) == 3


def test_without_checkpoints_a_run_begins_anew_and_what_was_told_is_set_aside(tmp_path):
    path = config(tmp_path / "run", steps=2)
    path.write_text(path.read_text().replace("every = 3", "every = 0"))
    assert run(path) == run(path) == 0
    assert [row["step"] for row in rows_of(tmp_path / "run", "step")] == [1, 2]
    assert (tmp_path / "run/log/metrics-before.jsonl").is_file()
    assert not (tmp_path / "run/kept").exists()


def test_a_checkpoint_becomes_weights_and_a_model_of_the_llama_family(tmp_path, capsys):
    assert run(config(tmp_path / "run", steps=3)) == 0
    capsys.readouterr()
    assert export([str(tmp_path / "run/kept"), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "out/weights.safetensors"),
        str(tmp_path / "out/llama"),
    ]
    weights, about = load_weights(tmp_path / "out/weights.safetensors")
    stored = newest(tmp_path / "run/kept").weights()
    assert weights.keys() == stored.keys()
    assert all(torch.equal(weights[name], stored[name]) for name in weights)
    assert about.tokens == 3 * 128 and about.trial == "training"
    again = weights_of(import_llama(tmp_path / "out/llama"))
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_what_is_no_checkpoint_is_not_exported(tmp_path, capsys):
    assert export([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "there is no checkpoint in" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no whole checkpoint"):
        opened(tmp_path / "step-000000001")


def test_a_manifest_is_json_and_names_every_part_once(tmp_path):
    assert run(config(tmp_path / "run", steps=3)) == 0
    _, text = (tmp_path / "run/kept/step-000000003/checkpoint.json").read_text().splitlines()
    data = json.loads(text)
    names = [part[0] for said in data["files"].values() for part in said["parts"]]
    assert sorted(names) == sorted(data["shapes"])
    assert {name.partition("/")[0] for name in names} == {"weights", "exp_avg", "exp_avg_sq", "step"}
