"""How fast torch multiplies matrices here: what a trial's speed is measured against."""

from __future__ import annotations

import time
from typing import Literal

Precision = Literal["float32", "bfloat16"]


def matmul_rate(precision: Precision, *, size: int = 768, seconds: float = 0.3, threads: int = 1) -> float:
    """Measure FLOP/s of a square product on the processor: the best of as many as fit into `seconds`.

    The best and not the mean, since other load can only slow a product down.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = (torch.ones(size, size, dtype=getattr(torch, precision)) for _ in range(2))
        out = left @ right  # the first product also loads its kernel
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            torch.mm(left, right, out=out)
            best = min(best, time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / best
