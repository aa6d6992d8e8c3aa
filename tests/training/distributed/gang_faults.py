"""Trials of several processes in which one goes wrong; workers import this by name."""

from __future__ import annotations

import time

from scalescope.training.distributed import gang_trial
from scalescope.training.distributed.engine import MeshEngine


def run(payload, emit):
    """Train, but rank 1 does what the payload says in its third step."""
    plain, steps = MeshEngine.step, []

    def step(self, batch, share):
        steps.append(share)
        if len(steps) == 3 and payload["gang"]["rank"] == 1:
            if payload["how"] == "hang":
                time.sleep(600)
            raise ValueError("no such tensor")
        return plain(self, batch, share)

    MeshEngine.step = step
    try:
        return gang_trial.run(payload, emit)
    finally:
        MeshEngine.step = plain
