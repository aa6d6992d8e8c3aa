"""How a process joins the others, and how its failure is known to them.

A rank that fails writes `failure-RANK.json` and ends; `torchrun` then ends the others. A rank that waits
longer than the time limit for one that hangs fails itself. The file with the earliest time names the cause.
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
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from scalescope.errors import InputError


def own_rank() -> int:
    """Return this process's number, before it has joined too."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def joined(timeout_s: float) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, or stand alone; yield the device of this one."""
    device = _device()
    options: dict[str, Any] = {"timeout": timedelta(seconds=timeout_s)}
    if "RANK" not in os.environ:
        options |= {"store": HashStore(), "rank": 0, "world_size": 1}
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", **options)
    yield device
    # Not after an error: others may be inside a collective, and this process ends.
    dist.destroy_process_group()


def record_failure(folder: Path, error: BaseException) -> Path:
    """Write down why this rank ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"failure-{own_rank()}.json"
    told = {
        "rank": own_rank(),
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
