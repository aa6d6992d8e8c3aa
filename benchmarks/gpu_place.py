"""Where a GPU benchmark runs, what that could do at best, and how a step is timed there."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from scalescope.cost.devices import find_device
from scalescope.errors import InputError
from scalescope.training.matmul import matmul_rate

Step = Callable[[], torch.Tensor]


class Place:
    """Where it runs, and what that could do at best."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        self.name = torch.cuda.get_device_name() if self.cuda else f"cpu {platform.machine()}"
        self.peak, self.source = self._peak()

    def _peak(self) -> tuple[float, str]:
        """Return the dense bf16 peak, FLOP/s, and where it comes from."""
        if not self.cuda:
            return matmul_rate("bfloat16", threads=torch.get_num_threads()), "measured product of 768"
        plain = self.name.removeprefix("NVIDIA ")
        kind = (
            " ".join(plain.split()[:2])
            if "PCIe" in plain or "NVL" in plain
            else plain.split()[0].split("-")[0]
        )
        for name in (plain, kind, f"{kind} SXM"):
            try:
                found = find_device(name)
            except InputError:
                continue
            return found.flop_per_s["bf16"], f"{found.name}, scalescope.cost.devices"
        return float("nan"), "unknown device"

    def wait(self) -> None:
        """Wait until the device is idle."""
        if self.cuda:
            torch.cuda.synchronize()


def say(place: Place, figure: str, **fields: Any) -> None:
    """Print one figure."""
    print(json.dumps({"benchmark": "gpu", "figure": figure, **fields, "device": place.name}), flush=True)


def timed(step: Step, place: Place, seconds: float) -> float:
    """Return the median seconds of a step, after three to warm up."""
    for _ in range(3):
        step()
    place.wait()
    spent, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent) < 5:
        start = time.perf_counter()
        step()
        place.wait()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)
