"""Time and memory of the fused cross-entropy beside torch's on logits.  One JSON line a figure.

    python benchmarks/cross_entropy.py > benchmarks/results/cross_entropy.jsonl

Loss and gradients of hidden and head, each way in a process of its own, so that a peak is its own: on a
processor the most that was resident above what was before the first call, on a GPU what the allocator says.
Times are the median of `--repeats` calls after one that warms up; the two ways take turns. The last line has
the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from scalescope.training.blocks.cross_entropy import cross_entropy

WAYS = ("fused", "logits")


def work(way: str, args: argparse.Namespace) -> Callable[[], float]:
    """Return one forward and backward pass, which says the loss."""
    torch.manual_seed(0)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.precision]
    hidden = torch.randn(args.tokens, args.width, device=args.device, dtype=kind).requires_grad_()
    weight = torch.randn(args.vocabulary, args.width, device=args.device, dtype=kind)
    weight = (weight * args.width**-0.5).requires_grad_()
    targets = torch.randint(args.vocabulary, (args.tokens,), device=args.device)

    def step() -> float:
        hidden.grad = weight.grad = None
        if way == "fused":
            loss, _ = cross_entropy(hidden, weight, targets)
        else:
            loss = F.cross_entropy((hidden @ weight.mT).float(), targets)
        loss.backward()
        return float(loss.detach())

    return step


def measure(way: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one way in this process."""
    torch.set_num_threads(args.threads)
    step = work(way, args)
    cuda = args.device == "cuda"
    before = torch.cuda.memory_allocated() if cuda else resident()
    loss = step()
    seconds = []
    for _ in range(args.repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = (torch.cuda.max_memory_allocated() if cuda else resident()) - before
    return {"way": way, "seconds": statistics.median(seconds), "peak_bytes": peak, "loss": loss}


def resident() -> int:
    """Return the most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print both ways and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("tokens", 4096), ("width", 512), ("vocabulary", 32_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each way")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--way", choices=WAYS, help="measure one way in this process")
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args)))
        return
    told = {name: getattr(args, name) for name in ("tokens", "width", "vocabulary", "device", "precision")}
    if args.device == "cuda":
        told["device"] = torch.cuda.get_device_name()
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
            found[way].append(json.loads(subprocess.check_output(command)))
    best = {way: min(runs, key=lambda run: run["seconds"]) for way, runs in found.items()}
    for way in WAYS:
        print(json.dumps({"benchmark": "cross_entropy", **told, **best[way]}), flush=True)
    fused, logits = (best[way] for way in WAYS)
    ratios = {name: fused[name] / logits[name] for name in ("seconds", "peak_bytes")}
    error = abs(fused["loss"] / logits["loss"] - 1)
    print(
        json.dumps({"benchmark": "cross_entropy", "figure": "ratio", **told, **ratios, "loss_error": error})
    )


if __name__ == "__main__":
    main()
