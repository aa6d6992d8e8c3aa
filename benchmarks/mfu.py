"""How much of the core's matmul rate a trial reaches, and where the rest goes.  One JSON line a figure.

The rate is the best of square products of 768, measured between the steps of each case; the work is
`Shape.flop_per_token`, whose attention is causal. `share_of_step` splits the process seconds of a step:
kernels by their own time under torch's profiler, sampling and optimisers by the clock, and what is left is
Python, starting kernels, and memory; it is at least that, since the profiler lengthens short kernels.
Attention multiplies more than the causal half (`kernels.QUERY_BLOCK`).

    python benchmarks/mfu.py --seconds 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter

import numpy as np
import torch

from scalescope.corpora.sampling import Sampler
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.matmul import matmul_rate
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.recipe import Recipe
from scalescope.training.stacked.transformer import StackedTransformer
from speed import CONTEXT, PLACE, SIZES, VOCABULARY, shape_of

CASES = (("adamw", 4096), ("muon", 512), ("muon", 1536))
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_")
ATTENTION = ("aten::bmm", "aten::_softmax_backward_data", "aten::_softmax")


class Timed:
    """Training steps of one case, with process seconds of their parts."""

    def __init__(self, size: str, optimizer: str, tokens: int) -> None:
        torch.manual_seed(0)
        self.shape, self.recipe = shape_of(size), Recipe(optimizer=optimizer)
        self.batch = tokens // CONTEXT
        self.model = StackedTransformer(self.shape)
        self.optimizers = build_optimizers(self.model, self.recipe)
        set_rate(self.optimizers, 0.01)
        text = np.random.default_rng(0).integers(0, VOCABULARY, 1 << 20, dtype=np.uint8)
        self.sampler = Sampler(text, CONTEXT, 0)
        self.position = 0
        self.parts: dict[str, list[float]] = {"data": [], "model": [], "optimiser": []}

    def step(self) -> None:
        """Do what a trial does in a step."""
        marks = [time.process_time()]
        windows = torch.from_numpy(self.sampler.take(self.position, self.batch))
        self.position += self.batch
        marks.append(time.process_time())
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.model.loss(windows[:, :-1], windows[:, 1:]).backward()
        marks.append(time.process_time())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        marks.append(time.process_time())
        for name, spent in zip(self.parts, np.diff(marks), strict=True):
            self.parts[name].append(float(spent))


def group_of(name: str) -> str | None:
    """The group of a kernel; None for what only moves pointers or wraps others."""
    if name in PRODUCTS:
        return "matmul"
    if name in ATTENTION:
        return "attention"
    idle = ("view", "slice", "select", "transpose", "as_strided", "empty", "split", "permute", "expand", "t")
    bare = name.removeprefix("aten::").rstrip("_")
    return "element-wise" if name.startswith("aten::") and bare not in idle else None


def kernel_seconds(timed: Timed, steps: int) -> dict[str, float]:
    """Seconds a step in the kernels of forward and backward pass."""
    windows = torch.from_numpy(timed.sampler.take(0, timed.batch))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(steps):
            timed.model.loss(windows[:, :-1], windows[:, 1:]).backward()
    seconds: Counter[str] = Counter()
    for event in profile.key_averages():
        group = group_of(event.key)
        if group:
            seconds[group] += event.self_cpu_time_total * 1e-6 / steps
    return dict(seconds)


def measure(size: str, optimizer: str, tokens: int, seconds: float) -> dict[str, object]:
    """One figure."""
    timed = Timed(size, optimizer, tokens)
    timed.step()
    timed.step()
    timed.parts = {name: [] for name in timed.parts}
    rates, end = [], time.process_time() + seconds
    while time.process_time() < end or len(rates) < 3:
        rates.append(matmul_rate("float32", seconds=0.05))
        for _ in range(3):
            timed.step()
    parts = {name: statistics.median(each) for name, each in timed.parts.items()}
    kernels = kernel_seconds(timed, steps=3)
    step = sum(parts.values())
    # The profiler slows small kernels; they cannot have taken longer than the passes without it.
    shrink = min(1.0, parts["model"] / sum(kernels.values()))
    shares = {name: spent * shrink / step for name, spent in kernels.items()}
    shares |= {"optimiser": parts["optimiser"] / step, "data": parts["data"] / step}
    rate = statistics.median(rates)
    reached = timed.shape.flop_per_token * tokens / step
    return {
        "figure": "share of the matmul rate",
        "size": size,
        "tokens": tokens,
        "optimizer": optimizer,
        "dtype": "fp32",
        "matmul_flop_per_second": round(rate),
        "flop_per_second": round(reached),
        "mfu": round(reached / rate, 3),
        "share_of_step": {name: round(share, 3) for name, share in shares.items()}
        | {"python and rest": round(1 - sum(shares.values()), 3)},
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of process time for a figure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for size in SIZES:
        for optimizer, tokens in CASES:
            print(
                json.dumps({"benchmark": "mfu"} | measure(size, optimizer, tokens, options.seconds) | PLACE),
                flush=True,
            )


if __name__ == "__main__":
    main()
