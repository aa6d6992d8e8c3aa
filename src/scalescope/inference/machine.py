"""The machine that cells are measured on, in base units."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from scalescope.cost.rates import Rates
from scalescope.executors import cores
from scalescope.inference.cgroups import headroom
from scalescope.points import BenchMachine


def describe_machine(rates: Rates) -> BenchMachine:
    """Return what is known of this machine, its measured ceilings included."""
    from importlib.metadata import version

    import psutil

    total = psutil.virtual_memory().total
    room = headroom()
    return rates.machine(
        processor=processor_name(),
        libraries={**rates.libraries, "transformers": version("transformers")},
        cores=float(cores()),
        memory_bytes=total if room is None else min(total, room),
        device_memory_bytes=_device_memory(rates.device),
    )


@cache
def processor_name() -> str:
    """Name the processor as the system does."""
    import platform

    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _device_memory(device: str) -> int | None:
    if not device.startswith("cuda"):
        return None
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)
