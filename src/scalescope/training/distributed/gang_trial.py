"""A trial of a study over several processes: what `scalescope.training.trial` runs, under its layout.

Every process calls `run` with its place in the gang; rank 0 alone tells. A process that notices that another
died or hangs ends at once, so that the trial counts as lost and is tried again; where another failed, all do.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import torch
import torch.distributed as dist

from scalescope.errors import InputError
from scalescope.metering import Meter, Power
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.distributed.clipping import over_all
from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.faults import PeerError, Roll
from scalescope.training.distributed.joining import meet
from scalescope.training.distributed.mesh import place_ranks
from scalescope.training.tasks.opening import open_task, read_corpus
from scalescope.training.trial import Emit, Training
from scalescope.training.trial_settings import Trial

TIMEOUT_S = 120.0
"""How long a process waits for the others; `timeout_s` of the payload is another."""


def run(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train one rank of a trial; the entry point of a `Task` of several processes.

    Parameters
    ----------
    payload
        As `scalescope.training.trial.run` takes it, with `gang` (see `scalescope.executors.gangs`), and
        perhaps `devices`, one of which is each rank's.
    emit
        Receives what the trial tells; that of rank 0 is heard.

    Returns
    -------
    dict
        As `scalescope.training.trial.run`.

    Raises
    ------
    DivergedError
        If training left the numbers.
    PeerError
        If another process failed.
    """
    keep_freed_memory()
    trial = msgspec.convert(payload["trial"], Trial, strict=False)
    if payload.get("start") or payload.get("keep") or trial.start:
        raise InputError("a trial over several processes neither begins from weights nor leaves some")
    corpus = read_corpus(payload["corpus"], payload["train"], payload["held_out"])
    torch.set_num_threads(trial.threads)
    meter = Meter(power=msgspec.convert(payload.get("power", {}), Power), shared=True)
    device = _device(payload)
    with _met(payload["gang"], device, float(payload.get("timeout_s", TIMEOUT_S))):
        ranks = place_ranks(trial.layout, device)
        training = _Together(trial, open_task(trial, corpus), lambda: MeshEngine(trial, ranks), emit, meter)
        with _causes(training):
            done = training.run()
    return done | {"energy": msgspec.to_builtins(meter.stop())}


class _Together(Training):
    """A trial of which all ranks go by one clock, since what it says decides whether they go on."""

    def _elapsed(self) -> float:
        if math.isinf(self.trial.seconds):
            return super()._elapsed()
        assert isinstance(self.engine, MeshEngine)
        own = super()._elapsed() if dist.get_rank() == 0 else 0.0
        return float(over_all(torch.tensor(own, dtype=torch.float64, device=self.engine.ranks.device)))


@contextmanager
def _met(gang: Mapping[str, Any], device: torch.device, timeout_s: float) -> Iterator[None]:
    """Join the others where rank 0 listens, and leave them whatever happens: other tasks follow."""
    try:
        meet(f"tcp://{gang['meeting']}", device, timeout_s, rank=gang["rank"], size=gang["size"])
    except RuntimeError as error:  # one is not there, or its port was taken meanwhile
        _end(f"the processes did not meet at {gang['meeting']}: {error}")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _causes(training: Training) -> Iterator[None]:
    """Find the cause of an error, and end this process where another one died or hangs."""
    roll = Roll()
    try:
        yield
    except Exception as error:
        cause = roll.explain(error, training.n_steps + 1)
        if isinstance(cause, PeerError) and not cause.failed:
            _end(str(cause))
        if cause is None:
            raise
        raise cause from error


def _end(cause: str) -> None:
    """End this process; the executor tells what it said last."""
    sys.stderr.write(f"{cause}\n")
    sys.stderr.flush()
    os._exit(1)


def _device(payload: Mapping[str, Any]) -> torch.device:
    """Return this rank's device; a process that sees one alone takes that."""
    devices = payload.get("devices") or []
    if not devices:
        return torch.device("cpu")
    own = "cuda:0" if torch.cuda.device_count() == 1 else devices[payload["gang"]["rank"] % len(devices)]
    device = torch.device(own)
    torch.cuda.set_device(device)
    return device
