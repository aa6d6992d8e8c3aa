"""Several processes under torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from training_files import rows_of, write_run

pytest.importorskip("torch", reason="needs the extra train")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

LIMIT_S = 120


def test_where_one_rank_dies_the_others_end_and_say_why(tmp_path):
    path = write_run(tmp_path, steps=1_000_000)
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    trainer = ("-m", "scalescope.training.distributed", "--layout", "fsdp=2", "--config", str(path))
    with (tmp_path / "told").open("w") as told:
        running = subprocess.Popen(
            [*launch, *trainer], stderr=told, stdout=told, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        wait_for(lambda: len(rows_of(tmp_path, "step")) > 2, running, tmp_path)
        second = next(one for one in psutil.Process(running.pid).children() if rank_of(one) == "1")
        second.send_signal(signal.SIGKILL)
        assert running.wait(LIMIT_S) != 0
    finally:
        running.kill()
    failure = json.loads((tmp_path / "log" / "failure-0.json").read_text())
    assert failure["rank"] == 0 and failure["cause"]


def wait_for(state, running, folder):
    """Wait until something is so; fail where the run ends first."""
    end = time.monotonic() + LIMIT_S
    while not state():
        assert running.poll() is None, (folder / "told").read_text()[-3000:]
        assert time.monotonic() < end, (folder / "told").read_text()[-3000:]
        time.sleep(0.2)


def rank_of(process):
    return process.environ().get("RANK")
