"""The trainer under torchrun, with a fault in each of its first starts."""

from __future__ import annotations

import os
import signal
import sys
import time

from scalescope.training.distributed.__main__ import main
from scalescope.training.distributed.recorded import Recorded


def hang():
    time.sleep(600)


def fail():
    raise ValueError("no such tensor")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS = ((1, 4, hang), (0, 7, fail), (1, 9, die))
"""Rank, step and what happens, by restart."""

if __name__ == "__main__":
    restart = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if restart < len(FAULTS):
        rank, step, fault = FAULTS[restart]
        plain = Recorded.step

        def stepped(self, batch, share):
            if int(os.environ["RANK"]) == rank and self.steps + 1 == step:
                fault()
            return plain(self, batch, share)

        Recorded.step = stepped
    sys.exit(main())
