"""Tokens a second of one trial on one core, beside `transformers` and a plain loop.  One JSON line a figure.

Both sides train the same architecture on the same number of tokens a step, one thread, clipped gradients,
fused AdamW with equal settings. Each side lives in processes of its own, one as a trial sets itself up (the
C library keeps freed memory) and one with the default allocator. They take turns, so that other load hits
both; seconds are those of the process, and `ratio` is the median over the turns. Other figures: bfloat16,
what a study does (Muon, small batches) against AdamW over there, what the allocator does, and
a step of our stacked Muon against one of `torch.optim.Muon`.

    python benchmarks/speed.py --seconds 0.5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from scalescope.cost import Shape
from scalescope.points.provenance import machine_name
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.recipe import Recipe
from scalescope.training.stacked.transformer import StackedTransformer

CONTEXT, VOCABULARY = 128, 256
SIZES = {"25k": (32, 2, 88, 2), "147k": (64, 3, 168, 2), "786k": (128, 4, 344, 4), "2.2M": (192, 5, 512, 6)}
"""Block parameters: width, layers, feed-forward, heads."""
TURNS = 7
SIDES = ("own", "llama")
PLACE = {"clock": "process", "torch": torch.__version__, "machine": machine_name()}

Step = Callable[[], float]


def shape_of(size: str) -> Shape:
    """Return a member of `SIZES`."""
    width, n_layers, feed_forward, heads = SIZES[size]
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=heads,
        n_kv_heads=heads,
        feed_forward=feed_forward,
        vocabulary=VOCABULARY,
        context=CONTEXT,
    )


def peer_model(shape: Shape) -> torch.nn.Module:
    """Build the same architecture from `transformers`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def make_step(side: str, case: dict[str, Any]) -> Step:
    """Return a function that does one training step of a case and returns the loss."""
    shape, recipe = shape_of(case["size"]), Recipe(optimizer=case["optimizer"])
    windows = torch.randint(shape.vocabulary, (case["tokens"] // CONTEXT, CONTEXT + 1))
    if side == "own":
        model: torch.nn.Module = StackedTransformer(shape)
        optimizers = build_optimizers(model, recipe)
        set_rate(optimizers, 0.01)

        def loss_of() -> torch.Tensor:
            return model.loss(windows[:, :-1], windows[:, 1:])
    else:
        model = peer_model(shape)
        betas = (recipe.beta1, recipe.beta2)
        optimizers = [torch.optim.AdamW(model.parameters(), 1e-4, betas, weight_decay=0.0, fused=True)]

        def loss_of() -> torch.Tensor:
            logits = model(input_ids=windows[:, :-1]).logits.float()
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    def step() -> float:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if case["dtype"] == "bf16" else nullcontext():
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return step


def serve(side: str) -> None:
    """Answer each case on standard input by its process seconds a step; the body of a process of one side."""
    torch.set_num_threads(1)
    current, step = None, None
    for line in sys.stdin:
        case = json.loads(line)
        if case != current:
            step, current = make_step(side, case), case
            step()
            step()
        began, steps = time.process_time(), 0
        while time.process_time() - began < case["seconds"] or not steps:
            step()
            steps += 1
        print((time.process_time() - began) / steps, flush=True)


class Side:
    """A process that trains when asked."""

    def __init__(self, side: str, *, keep: bool) -> None:
        command = [sys.executable, __file__, "--serve", side, *(["--keep"] if keep else [])]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def seconds(self, case: dict[str, Any]) -> float:
        """Seconds a step, over one turn."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def race(sides: dict[str, Side], case: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds a step of each side in each turn."""
    peer = case | {"optimizer": "adamw"}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, side in sides.items():
            times[name].append(side.seconds(case if name.startswith("own") else peer))
    return times


def show(figure: str, case: dict[str, Any], fast: list[float], slow: list[float], **more: Any) -> None:
    """Print one figure: tokens a second of both, and the median of the paired ratios.

    Everything in `case` holds for both sides, unless `more` says what the other did.
    """
    ratio = statistics.median(other / own for own, other in zip(fast, slow, strict=True))
    line = {"figure": figure} | {key: value for key, value in case.items() if key != "seconds"} | more
    line["tokens_per_second"] = round(case["tokens"] / statistics.median(fast))
    line["other_tokens_per_second"] = round(case["tokens"] / statistics.median(slow))
    line |= {"ratio": round(ratio, 3), "turns": len(fast)} | PLACE
    print(json.dumps({"benchmark": "speed"} | line), flush=True)


def compare(sizes: list[str], seconds: float) -> None:
    """Race all cases."""
    sides = {f"{side}, {'kept' if keep else 'default'}": (side, keep) for keep in (1, 0) for side in SIDES}
    running = {name: Side(side, keep=bool(keep)) for name, (side, keep) in sides.items()}
    ours, theirs = running["own, kept"], running["llama, default"]
    for size in sizes:
        base = {"size": size, "tokens": 4096, "optimizer": "adamw", "dtype": "fp32", "seconds": seconds}
        times = race(running, base)
        own = times["own, kept"]
        show("own trial against llama", base, own, times["llama, default"], other_allocator="default")
        show("own trial against llama", base, own, times["llama, kept"], other_allocator="kept")
        show("allocator kept against default", base, own, times["own, default"])
        for changes in (
            {"dtype": "bf16"},
            {"optimizer": "muon", "tokens": 512},
            {"optimizer": "muon", "tokens": 1536},
        ):
            case = base | changes
            times = race({"own": ours, "llama": theirs}, case)
            show(
                "own trial against llama",
                case,
                times["own"],
                times["llama"],
                other_allocator="default",
                other_optimizer="adamw",
            )
    for side in running.values():
        side.close()


def compare_muon(size: str, seconds: float) -> None:
    """Time a step of our Muon and of torch's on the same matrices."""
    shape = shape_of(size)
    model = StackedTransformer(shape)
    muon = build_optimizers(model, Recipe())[0]
    set_rate([muon], 0.01)
    stacks = [model.qkv, model.attention_out, model.gate_up, model.down]
    for stack in stacks:
        stack.grad = torch.randn_like(stack)
    matrices = [
        torch.nn.Parameter(part.clone().contiguous())
        for stack, group in zip(stacks, muon.param_groups, strict=True)
        for matrix in stack.detach().flatten(0, -3)
        for part in torch.split(matrix, group["splits"], -1)
    ]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    other = torch.optim.Muon(matrices, lr=1e-4, momentum=0.9, weight_decay=0.0)
    times: dict[str, list[float]] = {"own": [], "other": []}
    for _ in range(TURNS):
        for name, optimizer in (("own", muon), ("other", other)):
            optimizer.step()
            began, steps = time.process_time(), 0
            while time.process_time() - began < seconds / 4 or not steps:
                optimizer.step()
                steps += 1
            times[name].append((time.process_time() - began) / steps)
    ratio = statistics.median(slow / fast for fast, slow in zip(times["own"], times["other"], strict=True))
    line = {"figure": "stacked Muon against torch.optim.Muon", "size": size, "matrices": len(matrices)}
    line |= {f"{name}_step_s": round(statistics.median(each), 6) for name, each in times.items()}
    print(
        json.dumps({"benchmark": "speed"} | line | {"ratio": round(ratio, 3), "turns": TURNS} | PLACE),
        flush=True,
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn, at least one step")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep:
        keep_freed_memory()
    if options.serve:
        serve(options.serve)
        return
    torch.set_num_threads(1)
    compare(options.sizes, options.seconds)
    keep_freed_memory()
    for size in options.sizes:
        compare_muon(size, options.seconds)


if __name__ == "__main__":
    main()
