"""Two processes under torchrun, of which one hangs, one fails and one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_files import rows_of, write_run

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

from scalescope.training.distributed.__main__ import main  # noqa: E402

STEPS = 12
LIMIT_S = 400
WORKER = Path(__file__).with_name("fault_worker.py")
KEPT = '[checkpoint]\nfolder = "{folder}/kept"\nevery = 3\n'


def config(folder):
    folder.mkdir()
    path = write_run(folder, steps=STEPS)
    path.write_text(path.read_text().replace("timeout_s = 60", "timeout_s = 25") + KEPT.format(folder=folder))
    return path


def failure(folder, name):
    return json.loads((folder / "log" / f"failure-{name}.json").read_text())


def test_torchrun_starts_again_after_every_fault_and_the_curve_goes_on(tmp_path):
    path = config(tmp_path / "run")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3")
    done = subprocess.run(
        [sys.executable, *launch, str(WORKER), "--layout", "fsdp=2", "--config", str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    run = tmp_path / "run"
    hung, noticed = failure(run, "1"), failure(run, "0")
    assert noticed["kind"] == "PeerError"
    assert noticed["cause"].startswith("rank 1 did not come in step 4 and died or hangs")
    assert hung["cause"] == "was still in step 4 when rank 0 had ended"
    assert "time.sleep(600)" in hung["trace"]
    failed, noticed = failure(run, "0-1"), failure(run, "1-1")
    assert (failed["kind"], failed["cause"]) == ("ValueError", "no such tensor")
    assert noticed["cause"] == "rank 0 failed in step 7: ValueError: no such tensor"
    assert failure(run, "0-2")["cause"].startswith("rank 1 did not come in step 9 and died or hangs")
    assert [row["step"] for row in rows_of(run, "resumed")] == [3, 6, 6]
    assert main(["--layout", "micro_batch=4", "--config", str(config(tmp_path / "alone"))]) == 0
    found, wanted = (rows_of(folder, "step") for folder in (run, tmp_path / "alone"))
    assert [row["step"] for row in found] == list(range(1, STEPS + 1))
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in wanted], rel=1e-5)
