"""How a process joins the others, and how its failure is known to them.

A rank that fails writes `failure-RANK.json` (after the second restart `failure-RANK-2.json`) and ends;
`torchrun` then ends the others, and starts all again if it may. A rank that waits longer than the time limit
for one that hangs fails itself. `faults` finds the cause.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore, PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from scalescope.errors import InputError, RunError

PATIENCE_S = 300.0
"""How long a process waits for others to start."""
POLL_S = 0.05


def own_rank() -> int:
    """Return this process's number, before it has joined too."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def joined(timeout_s: float) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, or stand alone; yield the device of this one."""
    device = _device()
    if "RANK" in os.environ:
        meet("env://", device, timeout_s)
    else:
        _begin(device, HashStore(), 0, 1, timeout_s)
    yield device
    # Not after an error: others may be inside a collective, and this process ends.
    dist.destroy_process_group()


def meet(where: str, device: torch.device, timeout_s: float, *, rank: int = -1, size: int = -1) -> None:
    """Wait until all processes are there, which may have much to import, and make them a group.

    Parameters
    ----------
    where
        `env://` under torchrun, or `tcp://host:port` where rank 0 will listen.
    timeout_s
        How long they wait for each other from then on.
    """
    patience = timedelta(seconds=max(timeout_s, PATIENCE_S))
    store, rank, size = next(rendezvous(where, rank, size, timeout=patience))
    _begin(device, PrefixStore(_start(store, rank, size), store), rank, size, timeout_s)


def _start(store: Store, rank: int, size: int) -> str:
    """Agree on a name for this start of the run, once all processes are there.

    After a restart torchrun's store still has what the start before left in it, addresses that nobody listens
    at among it. Every process shows a number of its own; rank 0 lists those it sees, and a list in which a
    process finds its own is of this start.
    """
    own, end = uuid4().hex, time.monotonic() + PATIENCE_S
    shown = [f"shown/{other}" for other in range(size)]
    store.set(shown[rank], own)
    while time.monotonic() < end:
        if rank == 0 and store.check(shown):
            store.set("listed", " ".join(store.get(one).decode() for one in shown))
        listed = store.get("listed").decode().split() if store.check(["listed"]) else []
        if listed[rank : rank + 1] == [own]:
            store.set(f"{listed[0]}/{rank}", "")
            if store.check([f"{listed[0]}/{other}" for other in range(size)]):
                return listed[0]
        time.sleep(POLL_S)
    raise RunError(
        f"rank {rank} waited {PATIENCE_S:g} s for the others to start", hint="Look at their nodes."
    )


def _begin(device: torch.device, store: Store, rank: int, size: int, timeout_s: float) -> None:
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=timeout_s),
    )


def record_failure(folder: Path, error: BaseException) -> Path:
    """Write down why this rank ends."""
    folder.mkdir(parents=True, exist_ok=True)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    path = folder / (f"failure-{own_rank()}" + (f"-{restart}.json" if restart != "0" else ".json"))
    told = {
        "rank": own_rank(),
        "restart": int(restart),
        "time": time.time(),
        "kind": type(error).__name__,
        "cause": str(error),
        "place": str(getattr(error, "place", "")),
        "part": getattr(error, "part", ""),
        "trace": "" if isinstance(error, InputError) else "".join(traceback.format_exception(error)),
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return path


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
