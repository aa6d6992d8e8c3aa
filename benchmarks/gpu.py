"""How fast one device trains: tokens per second and MFU beside peers, and many small trials side by side.

    python benchmarks/gpu.py                              # everything, on one CUDA device
    python benchmarks/gpu.py --figure dense --sizes 1.3B
    python benchmarks/gpu.py --device cpu --tiny          # the same code on shapes that a processor trains

One JSON line a figure; the first has the versions. Figures:

* `dense`, `moe`: the general network in bf16, each block compiled, fused cross-entropy and fused AdamW, at
  context 2048 and the largest batch that fits. `mfu` counts a causal attention's FLOP and no head twice;
  `mfu_palm` is the usual convention, which counts attention in full and an embedding as if it multiplied.
* `peer`: beside it, in the same run, LlamaForCausalLM of `transformers` of the same shape in a plain loop
  (bf16 autocast, sdpa, fused AdamW), as it comes and compiled, as a ratio of tokens per second.
* `grid`: trials an hour of an IsoFLOP grid of small models, one after the other and N processes side by side,
  the way of the executor. Without MPS (`nvidia-cuda-mps-control -d`) kernels of several processes take turns.
* `batched`: one process that trains K copies of one small shape at once through torch.func, beside one copy.

What torchtitan publishes is typed in below with its source; it is another model on other cards.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_place import Place, Step, say, timed
from gpu_trials import batched, grid
from scalescope.cost import Shape, flop_per_token
from scalescope.studies.family import make_shape, with_experts
from scalescope.training.network import Network
from scalescope.training.optimizers import build_optimizers, set_rate
from scalescope.training.precision import Numbers
from scalescope.training.recipe import Recipe

CONTEXT, VOCABULARY = 2048, 50304
GOAL_MFU = 0.5
DENSE = {"125M": (768, 12, 12, 2048, 32), "350M": (1024, 24, 16, 2816, 16), "1.3B": (2048, 24, 16, 5504, 8)}
"""Width, layers, heads, feed-forward, and the batch that is tried first; it is halved until it fits."""
TITAN = {
    "model": "Llama 3.1 8B, 8 H100 (96 GB, 500 W), FSDP and torch.compile, context 8192, bf16",
    "mfu": [0.33, 0.39],
    "tokens_per_second_per_gpu": 6667,
    "source": "pytorch/torchtitan, benchmarks/llama3_h100_202412_torchtitan.md, table 1 and text",
}


def versions(place: Place) -> None:
    """Print what everything ran with."""
    told: dict[str, Any] = {"torch": torch.__version__, "python": platform.python_version()}
    told["cuda"] = torch.version.cuda
    try:
        import transformers

        told["transformers"] = transformers.__version__
    except ImportError:
        told["transformers"] = None
    if place.cuda:
        told["capability"] = torch.cuda.get_device_capability()
        told["memory_bytes"] = torch.cuda.get_device_properties(0).total_memory
    told["mps"] = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")).exists()
    say(place, "versions", **told, peak_bf16_flop_per_s=place.peak, peak_from=place.source)


def shapes(tiny: bool) -> dict[str, tuple[Shape, int]]:
    """Return the dense shapes by name, each with the batch that is tried first."""
    if tiny:
        return {"tiny": (make_shape(32, 2, 256, 64, tied=True), 4)}
    return {
        name: (
            Shape(
                width=width,
                n_layers=layers,
                n_heads=heads,
                n_kv_heads=heads,
                feed_forward=feed,
                vocabulary=VOCABULARY,
                context=CONTEXT,
                tied=True,
            ),
            batch,
        )
        for name, (width, layers, heads, feed, batch) in DENSE.items()
    }


def own_step(shape: Shape, batch: int, place: Place, *, compiled: bool) -> Step:
    """Return a whole optimiser step of the general network."""
    torch.manual_seed(0)
    recipe = Recipe(optimizer="adamw")
    model = Network(shape).to(place.device)
    optimizers, numbers = build_optimizers(model, recipe), Numbers("bf16", place.device)
    set_rate(optimizers, 0.01)
    if compiled:
        for block in model.blocks.values():
            block.compile(dynamic=False)
    inputs = torch.randint(shape.vocabulary, (batch, shape.context), device=place.device)

    def step() -> torch.Tensor:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        with numbers.context():
            loss = model.loss(inputs, inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        model.end_step()
        return loss.detach()

    return step


def peer_step(shape: Shape, batch: int, place: Place, *, compiled: bool) -> Step:
    """Return the same of transformers in a plain loop."""
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tied,
        attn_implementation="sdpa",
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).to(place.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model, dynamic=False) if compiled else model
    inputs = torch.randint(shape.vocabulary, (batch, shape.context), device=place.device)

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(place.device.type, dtype=torch.bfloat16):
            loss = run(input_ids=inputs, labels=inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return step


def fitting(make: Callable[[int], Step], batch: int, place: Place, seconds: float) -> dict[str, Any]:
    """Time steps at the largest batch that fits, halving from `batch` on."""
    while batch:
        try:
            if place.cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            began = time.perf_counter()
            spent = timed(make(batch), place, seconds)
            peak = torch.cuda.max_memory_allocated() if place.cuda else None
            return {
                "batch": batch,
                "step_seconds": spent,
                "first_steps_seconds": round(time.perf_counter() - began - seconds, 1),
                "peak_bytes": peak,
            }
        except torch.cuda.OutOfMemoryError:
            batch //= 2
        torch._dynamo.reset()
    return {"batch": 0, "error": "not even one sequence fits"}


def rates(shape: Shape, found: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return tokens per second and utilisation of a timed step."""
    if not found["batch"]:
        return {}
    speed = found["batch"] * shape.context / found["step_seconds"]
    return {
        "tokens_per_second": round(speed),
        "mfu": round(speed * flop_per_token(shape, "causal") / place.peak, 4),
        "mfu_palm": round(speed * flop_per_token(shape, "palm") / place.peak, 4),
    }


def network(place: Place, options: argparse.Namespace) -> None:
    """Dense shapes and a mixture of experts, and the peer beside each dense one."""
    for name, (shape, batch) in shapes(options.tiny).items():
        if options.sizes and name not in options.sizes:
            continue
        cases = {"dense": shape} | (
            {"moe": with_experts(shape, count=8, top_k=2)} if name in ("125M", "tiny") else {}
        )
        for figure, one in cases.items():
            if figure not in options.figure:
                continue
            made = lambda n, one=one: own_step(one, n, place, compiled=options.compiled)  # noqa: E731
            found = fitting(made, batch, place, options.seconds)
            own = rates(one, found, place)
            goal = {"goal_mfu": GOAL_MFU, "met": own.get("mfu", 0) >= GOAL_MFU} if name == "1.3B" else {}
            say(
                place,
                figure,
                size=name,
                params=one.params,
                params_active=one.params_active,
                context=one.context,
                compiled=options.compiled,
                **found,
                **own,
                **goal,
                torchtitan=TITAN,
            )
            if figure == "dense" and "peer" in options.figure and own:
                beside(place, name, shape, found["batch"], own, options)


def beside(
    place: Place, name: str, shape: Shape, batch: int, own: dict[str, Any], options: argparse.Namespace
) -> None:
    """Print the peer as it comes, and compiled where that is wanted."""
    for compiled in (False, True) if options.compiled else (False,):
        made = lambda n, compiled=compiled: peer_step(shape, n, place, compiled=compiled)  # noqa: E731
        found = fitting(made, batch, place, options.seconds)
        theirs = rates(shape, found, place)
        ratio = own["tokens_per_second"] / theirs["tokens_per_second"] if theirs else None
        say(
            place,
            "peer",
            size=name,
            peer="LlamaForCausalLM of transformers, plain loop",
            compiled=compiled,
            **found,
            **theirs,
            own_over_peer=None if ratio is None else round(ratio, 3),
        )


def main() -> None:
    """Run the figures asked for."""
    figures = ("dense", "moe", "peer", "grid", "batched")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="shapes that a processor trains in a second")
    parser.add_argument("--figure", choices=figures, action="append")
    parser.add_argument("--sizes", action="append", help="of the dense shapes: 125M, 350M, 1.3B")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each timing")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of the shorter trials of the grid")
    parser.add_argument("--corpus", help="text of the grid's trials; the standard library if not given")
    parser.add_argument("--no-compile", dest="compiled", action="store_false")
    options = parser.parse_args()
    options.figure = options.figure or figures
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --device cpu --tiny runs the same code on a processor")
    if options.device == "cpu" and not options.tiny:
        sys.exit("these shapes are for a GPU; add --tiny")
    options.compiled = options.compiled and not options.tiny
    options.seconds = 0.2 if options.tiny else options.seconds
    torch.backends.cuda.matmul.allow_tf32 = True
    place = Place(options.device)
    versions(place)
    if {"dense", "moe", "peer"} & set(options.figure):
        network(place, options)
    for name, run in (("grid", grid), ("batched", batched)):
        if name in options.figure:
            run(place, options)


if __name__ == "__main__":
    main()
