"""The program under torchrun, here as one process that stands alone."""

from __future__ import annotations

import json
import math
import os
import signal

import pytest
from training_files import rows_of, write_run

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from scalescope.training.distributed import building  # noqa: E402
from scalescope.training.distributed.__main__ import main  # noqa: E402
from scalescope.training.distributed.journal import Journal  # noqa: E402


@pytest.fixture(autouse=True)
def left_alone():
    """End the group of a run that failed, as the end of its process would."""
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def trained(folder, **options):
    return main(["--layout", "micro_batch=4", "--config", str(write_run(folder, **options))])


def test_a_run_leaves_its_metrics_and_tells_them(tmp_path, capsys):
    assert trained(tmp_path, more='device = "h100"') == 0
    steps = rows_of(tmp_path, "step")
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert [row["tokens"] for row in steps] == [128, 256, 384, 512]
    assert all(row["tokens_per_second"] > 0 and row["gradient_norm"] > 0 for row in steps)
    (point,) = rows_of(tmp_path, "point")
    assert point["tokens"] == 512 and point["loss"] < math.log(256)
    told = capsys.readouterr().err
    assert "step 2/4 loss" in told and "step 3/4" not in told and "held-out loss" in told


def test_utilisation_is_told_of_a_device_whose_peak_is_known(tmp_path):
    assert trained(tmp_path, more='device = "h100"\nprecision = "bf16"', steps=1) == 0
    (row,) = rows_of(tmp_path, "step")
    assert 0 < row["mfu"] < 1e-3


def test_sigterm_ends_a_run_between_two_steps(tmp_path, monkeypatch):
    plain = Journal.step

    def step(self, **told):
        plain(self, **told)
        if told["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Journal, "step", step)
    before = signal.getsignal(signal.SIGTERM)
    assert trained(tmp_path, steps=100) == 0
    assert [row["step"] for row in rows_of(tmp_path, "step")] == [1, 2, 3]
    (finding,) = rows_of(tmp_path, "finding")
    assert finding["code"] == "TRN140" and "step 3" in finding["text"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_number_that_is_none_is_recorded_with_step_batch_and_layer(tmp_path, monkeypatch, capsys):
    plain = building.drawn

    def poisoned(trial):
        network = plain(trial)
        with torch.no_grad():
            network.blocks["1"].feed.up.weight.fill_(math.nan)
        return network

    monkeypatch.setattr(building, "drawn", poisoned)
    assert trained(tmp_path) == 1
    failure = json.loads((tmp_path / "log" / "failure-0.json").read_text())
    assert failure["kind"] == "DivergedError"
    assert failure["part"] == "weights of blocks.1"
    assert failure["place"] == "step 0, token 0, sequences 0 to 7"
    assert "blocks.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "status", "message"),
    [("dp=2", 2, "needs 2 processes, this run has 1"), ("dq=2", 2, "has no 'dq'")],
)
def test_a_layout_that_cannot_be_ends_with_one_line(tmp_path, capsys, layout, status, message):
    assert main(["--layout", layout, "--config", str(write_run(tmp_path))]) == status
    assert message in capsys.readouterr().err
