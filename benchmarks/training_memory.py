"""How well predicted memory meets measured peaks, and what autograd keeps meets torch's memory tracker.

    python benchmarks/training_memory.py TABLES > benchmarks/results/training_memory.jsonl

TABLES holds torchtitan_perf.csv (torchtitan's benchmarks of 2024-12 and 2025-06, which report what torch's
allocator reserved) and llmfoundry_mpt_throughput.csv (llm-foundry's training benchmarks, which ran, so that
they fitted). One JSON line a figure: `peak` for each measured peak, with torchtitan's choices at that date
(https://github.com/pytorch/torchtitan): as many micro-batches as stages unless told (before pull request 781
also where a rank has two stages), selective recomputation by operations, blocks compiled, and the loss
compiled too since pull request 1033 of 2025-04; `fits` for the runs of llm-foundry, whose loss is one kernel
unless told; `stated` for runs that are published as failed and their neighbours; `tracker` for blocks of
torch on fake tensors; `own trainer` for those of `scalescope.training` under layouts.
No constant is fitted here.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.cost import Experts, Shape
from scalescope.cost.layout import RECOMPUTES, Layout
from scalescope.cost.layouts import Layouts
from scalescope.cost.rank_activations import Keeper, layer_bytes
from scalescope.cost.states import KEEPINGS
from scalescope.cost.training_memory import COMPILED_LOSS_BYTES, RankBytes, training_bytes

GIB = 2**30
PEAK_GOAL = 0.15
TRACKER_GOAL = 0.01

LLAMA_8B = Shape(
    width=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=8,
    feed_forward=14336,
    vocabulary=128256,
    context=8192,
)
LLAMA_70B = replace(LLAMA_8B, width=8192, n_layers=80, n_heads=64, feed_forward=28672)
LLAMA_405B = replace(LLAMA_8B, width=16384, n_layers=126, n_heads=128, feed_forward=53248)
LLAMA2_70B = replace(LLAMA_70B, vocabulary=32000, context=4096)
SHAPES = {"llama3-8b": LLAMA_8B, "llama3-70b": LLAMA_70B, "llama3.1-405b": LLAMA_405B}


def mpt(width: int, n_layers: int, n_heads: int, context: int, vocabulary: int = 50368) -> Shape:
    """Return a model of llm-foundry: no biases, learned positions, tied, LayerNorm."""
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        feed_forward=4 * width,
        vocabulary=vocabulary,
        context=context,
        tied=True,
        gated=False,
        norm="layer",
        positions="learned",
    )


def rank(shape: Shape, layout: Layout, batch: int, **how: Any) -> RankBytes:
    """Return the memory of one layout."""
    return training_bytes(shape, Layouts.of([layout]), global_batch=batch, **how)


def titan(line: dict[str, str]) -> tuple[Shape, Layout, int, dict[str, Any]]:
    """Read a row of torchtitan's tables."""
    degrees = dict(re.findall(r"\b(FSDP|TP|PP|CP) (\d+)", line["layout"]))
    fsdp, tp, pp, cp = (int(degrees.get(name, 1)) for name in ("FSDP", "TP", "PP", "CP"))
    context = int(next(value for name, value in line.items() if name.startswith("seq_len")))
    local = int(line["local_batch"])
    interleaved = "interleaved" in line["layout"]
    layout = Layout(
        fsdp=fsdp,
        tp=tp,
        pp=pp,
        cp=cp,
        micro_batch=max(1, local // pp),
        schedule="interleaved" if interleaved else "1f1b",
        virtual_stages=2 if interleaved else 1,
        recompute="full" if line["activation_checkpointing"] == "full" else "operations",
    )
    compiled = line["compile"] == "compile"
    later = line["source_table"].startswith("2025")
    how = {"compiled": compiled, "loss_bytes": COMPILED_LOSS_BYTES if compiled and later else None}
    return replace(SHAPES[line["model"]], context=context), layout, fsdp * local, how


def peaks(path: Path) -> Iterator[dict[str, Any]]:
    """Compare with what the allocator reserved at its peak."""
    rows = []
    for line in csv.DictReader(path.open(encoding="utf-8-sig")):
        if not line["peak_memory_GiB"]:
            continue
        shape, layout, batch, how = titan(line)
        found, measured = rank(shape, layout, batch, **how), float(line["peak_memory_GiB"])
        predicted = float(found.allocator[0]) / GIB
        rows.append(predicted / measured - 1)
        capacity = 141e9 / GIB if "H200" in line["gpu"] else 94.99
        yield {
            "benchmark": "training_memory",
            "what": "peak",
            "run": f"{line['model']} on {line['n_gpus']}, {line['layout']}, {line['compile']}, "
            f"{line['precision']}, {shape.context} tokens ({line['source_table']})",
            "measured_gib": measured,
            "predicted_gib": round(predicted, 2),
            "error": round(rows[-1], 4),
            "goal": PEAK_GOAL,
            "held": abs(rows[-1]) <= PEAK_GOAL,
            "fits": bool(found.total[0] / GIB <= capacity),
        }
    yield summary("peak", rows, PEAK_GOAL)


def summary(what: str, errors: list[float], goal: float) -> dict[str, Any]:
    """Return the line that judges all rows of one kind."""
    sizes = np.abs(errors)
    return {
        "benchmark": "training_memory",
        "what": f"{what}, all",
        "rows": len(errors),
        "largest_error": round(float(sizes.max()), 4),
        "mean_error": round(float(sizes.mean()), 4),
        "bias": round(float(np.mean(errors)), 4),
        "goal": goal,
        "held": bool(sizes.max() <= goal),
    }


def runs_that_fitted(path: Path) -> Iterator[dict[str, Any]]:
    """Count the runs of llm-foundry that are predicted to fit; and with twice the micro-batch."""
    capacity = {"a100_40gb": 39.4, "a100_80gb": 79.2, "h100_80gb": 79.1}  # GiB that torch reports
    fitted, twice, refused = 0, 0, []
    lines = list(csv.DictReader(path.open(encoding="utf-8-sig")))
    for line in lines:
        shape = mpt(
            int(line["d_model"]),
            int(line["n_layers"]),
            int(line["n_heads"]),
            int(line["seq_len"]),
            int(line["vocab"]),
        )
        layout = Layout(
            fsdp=int(line["n_gpus"]),
            micro_batch=int(line["micro_batch_per_gpu"]),
            recompute="full" if line["activation_checkpointing"] == "True" else "none",
            zero=2 if "GRAD" in line["sharding"] else 3,
        )
        offloaded = line["cpu_offload"] == "True"
        one, two = (
            rank(
                shape,
                replace(layout, micro_batch=n * layout.micro_batch),
                10**6,
                offloaded=offloaded,
                loss_bytes=COMPILED_LOSS_BYTES,
                keeping=KEEPINGS["bf16" if line["mp_mode"] == "PURE" else "fsdp"],
            )
            for n in (1, 2)
        )
        room = capacity[line["gpu"]]
        fitted += bool(one.total[0] / GIB <= room)
        twice += bool(two.total[0] / GIB <= room)
        if one.total[0] / GIB > room:
            refused.append(
                f"{line['model']} {line['gpu']} x{line['n_gpus']} seq {line['seq_len']} mb "
                f"{line['micro_batch_per_gpu']} ckpt {line['activation_checkpointing']}: "
                f"{one.total[0] / GIB:.1f} of {room}"
            )
    yield {
        "benchmark": "training_memory",
        "what": "fits, llm-foundry",
        "rows": len(lines),
        "share_predicted_to_fit": round(fitted / len(lines), 4),
        "goal": 1.0,
        "held": fitted == len(lines),
        "share_with_twice_the_micro_batch": round(twice / len(lines), 4),
        "refused": refused,
    }


# Published statements: run, shape, layout, sequences of a step, whether it ran, GiB of the device, source.
TITAN_2024 = "https://github.com/pytorch/torchtitan, docs/performance.md at commit 0413364, 64 A100 of 80 GB"
LLAMA2_13B = replace(
    LLAMA_8B,
    width=5120,
    n_layers=40,
    n_heads=40,
    n_kv_heads=40,
    feed_forward=13824,
    vocabulary=32000,
    context=4096,
)
STATED = (
    ("Llama 2 70B, 2 sequences, operations", LLAMA2_70B, 64, 2, "operations", False, 79.2, TITAN_2024),
    ("Llama 2 70B, 1 sequence, operations", LLAMA2_70B, 64, 1, "operations", True, 79.2, TITAN_2024),
    ("Llama 2 70B, 2 sequences, full", LLAMA2_70B, 64, 2, "full", True, 79.2, TITAN_2024),
    ("Llama 2 13B, 2 sequences, none", LLAMA2_13B, 64, 2, "none", True, 79.2, TITAN_2024),
    ("Llama 2 13B, 2 sequences, operations", LLAMA2_13B, 64, 2, "operations", True, 79.2, TITAN_2024),
    ("Llama 3 8B, 1 sequence, operations", LLAMA_8B, 64, 1, "operations", True, 79.2, TITAN_2024),
    ("Llama 3 70B, 1 sequence, full", LLAMA_70B, 64, 1, "full", True, 79.2, TITAN_2024),
    (
        "MPT-7B on one A100 of 80 GB, 1 sequence, full",
        mpt(4096, 32, 32, 2048),
        1,
        1,
        "full",
        False,
        79.2,
        "https://github.com/mosaicml/llm-foundry/issues/468",
    ),
    (
        # Recompute, loss and what FSDP wraps are not stated; taken here as in the row above.
        "MPT-7B on two A100 of 80 GB, settings not stated",
        mpt(4096, 32, 32, 2048),
        2,
        2,
        "full",
        False,
        79.2,
        "https://github.com/mosaicml/llm-foundry/issues/183",
    ),
)


def stated() -> Iterator[dict[str, Any]]:
    """Compare with what is published of runs that failed for want of memory, and of their neighbours."""
    wrong = 0
    for name, shape, shards, sequences, recompute, ran, room, source in STATED:
        layout = Layout(fsdp=shards, micro_batch=sequences, recompute=recompute)
        found = float(rank(shape, layout, shards * sequences).total[0]) / GIB
        wrong += (found <= room) and not ran
        yield {
            "benchmark": "training_memory",
            "what": "stated",
            "run": name,
            "ran": ran,
            "predicted_gib": round(found, 2),
            "device_gib": room,
            "predicted_to_fit": found <= room,
            "source": source,
        }
    yield {
        "benchmark": "training_memory",
        "what": "out of memory, predicted to fit",
        "rows": sum(not one[5] for one in STATED),
        "wrong": wrong,
        "goal": 0,
        "held": wrong == 0,
    }


FUSED = "norms of one kernel"
BLOCKS: tuple[tuple[str, Shape, str], ...] = (
    ("GPT", mpt(4096, 4, 32, 4096), ""),
    ("Llama 3 8B", replace(LLAMA_8B, n_layers=4), ""),
    ("Llama 3 8B", replace(LLAMA_8B, n_layers=1), FUSED),
    ("Llama 3 70B", replace(LLAMA_70B, n_layers=2, context=4096), FUSED),
    (
        "mixture of experts",
        replace(
            LLAMA_8B,
            n_layers=2,
            feed_forward=0,
            context=4096,
            experts=Experts(count=16, top_k=4, width=1408, shared=2),
        ),
        FUSED,
    ),
)


def tracked_blocks() -> Iterator[dict[str, Any]]:
    """Compare what autograd keeps with what torch's memory tracker sees, on tensors without contents."""
    errors = []
    for name, shape, norms in BLOCKS:
        for level in RECOMPUTES:
            if level == "selective" or (level == "operations" and shape.experts):
                continue
            keeper = Keeper(shape=shape, compute=2, fused_norms=bool(norms) or shape.norm == "layer")
            layouts = Layouts.of([Layout(recompute=level)])
            listed = float(layer_bytes(keeper, layouts)[0][0]) * shape.n_layers * shape.context
            measured = tracked(shape, level, fused_norms=bool(norms))
            errors.append(listed / measured - 1)
            yield {
                "benchmark": "training_memory",
                "what": "tracker",
                "run": f"{name}, {shape.n_layers} layers, {shape.context} tokens, "
                f"{norms or 'norms as they come'}, recompute {level}",
                "measured_bytes": measured,
                "listed_bytes": listed,
                "error": round(errors[-1], 5),
                "goal": TRACKER_GOAL,
                "held": abs(errors[-1]) <= TRACKER_GOAL,
            }
    yield summary("tracker", errors, TRACKER_GOAL)


def tracked(shape: Shape, level: str, *, fused_norms: bool) -> float:
    """Return the bytes that torch's tracker sees after the forward pass: the input in, the output out."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker
    from torch.utils.checkpoint import checkpoint

    with FakeTensorMode():
        blocks = [block_weights(shape) for _ in range(shape.n_layers)]
        x = torch.randn(1, shape.context, shape.width, dtype=torch.bfloat16, requires_grad=True)
        tracker = MemTracker()
        tracker.track_external(x, *(one for block in blocks for one in block.values()))
        how = {"context_fn": every_second_product} if level == "operations" else {}
        with tracker:
            y = x
            for block in blocks:
                if level == "none":
                    y = run_block(y, block, shape, fused_norms)
                else:
                    y = checkpoint(run_block, y, block, shape, fused_norms, use_reentrant=False, **how)
            seen = next(iter(tracker.get_tracker_snapshot("current").values()))
        # the input stands under what was made outside; norms that copy it do not keep it
        kept_input = level != "none" or fused_norms or shape.norm == "layer"
        made = next(size for kind, size in seen.items() if getattr(kind, "name", "") == "ACT")
        return float(made - y.nbytes + (x.nbytes if kept_input else 0))


def block_weights(shape: Shape) -> dict[str, Any]:
    """Return the matrices of one block."""
    import torch

    d, f, experts = shape.width, shape.feed_forward, shape.experts
    inner, keys = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
    sizes: dict[str, tuple[int, ...]] = {
        "first": (d,),
        "second": (d,),
        "q": (inner, d),
        "k": (keys, d),
        "v": (keys, d),
        "o": (d, inner),
    }
    if experts is None:
        sizes |= {"up": (f, d), "down": (d, f)} | ({"gate": (f, d)} if shape.gated else {})
    else:
        e, w, s = experts.count, experts.width, experts.shared * experts.width
        sizes |= {"router": (e, d), "gates": (e, d, w), "ups": (e, d, w), "downs": (e, w, d)}
        sizes |= {"gate": (s, d), "up": (s, d), "down": (d, s)}
    return {name: torch.empty(size, dtype=torch.bfloat16, requires_grad=True) for name, size in sizes.items()}


def run_block(x: Any, of: dict[str, Any], shape: Shape, fused: bool) -> Any:
    """Pass a pre-norm block."""
    from torch.nn import functional

    y = normalise(x, of["first"], shape, fused)
    split = (x.shape[0], x.shape[1], -1, shape.head_size)
    query, key, value = (functional.linear(y, of[name]).view(split).transpose(1, 2) for name in "qkv")
    seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    x = x + functional.linear(seen.transpose(1, 2).flatten(2), of["o"])
    y = normalise(x, of["second"], shape, fused)
    if shape.experts is None:
        return x + feed_forward(y, of)
    return x + feed_forward(y, of) + routed(y, of, shape)


def feed_forward(y: Any, of: dict[str, Any]) -> Any:
    """Pass a plain or gated feed-forward."""
    from torch.nn import functional

    if "gate" not in of:
        return functional.linear(functional.gelu(functional.linear(y, of["up"])), of["down"])
    opened = functional.silu(functional.linear(y, of["gate"]))
    return functional.linear(opened * functional.linear(y, of["up"]), of["down"])


def routed(y: Any, of: dict[str, Any], shape: Shape) -> Any:
    """Send each token to its experts, all of which get as many, and add what comes back."""
    import torch
    from torch.nn import functional

    experts = shape.experts
    assert experts is not None
    rows = y.flatten(0, 1)
    scores = torch.softmax(functional.linear(rows, of["router"]).float(), -1)
    weights, chosen = torch.topk(scores, experts.top_k, -1)
    order = torch.argsort(chosen.flatten())
    place = order // experts.top_k
    sent = rows.index_select(0, place).view(experts.count, -1, shape.width)
    hidden = functional.silu(torch.bmm(sent, of["gates"])) * torch.bmm(sent, of["ups"])
    back = torch.bmm(hidden, of["downs"]).view(-1, shape.width)
    weighed = back * weights.flatten()[order].unsqueeze(-1).to(back.dtype)
    to = place.unsqueeze(-1).expand(-1, shape.width)
    return torch.zeros_like(rows).scatter_add(0, to, weighed).view(y.shape)


def normalise(x: Any, gain: Any, shape: Shape, fused: bool) -> Any:
    """Pass LayerNorm, RMSNorm as torch has it without a kernel, or as a kernel has it."""
    import torch
    from torch.nn import functional

    if shape.norm == "layer":
        return functional.layer_norm(x, x.shape[-1:], gain)
    if not fused:
        return functional.rms_norm(x, x.shape[-1:], gain)

    class OneKernel(torch.autograd.Function):
        """Keeps its input, its gain and one number a row, as kernels do."""

        @staticmethod
        def forward(ctx: Any, x: Any, gain: Any) -> Any:
            ctx.save_for_backward(x, gain, x.new_empty(x.shape[:-1], dtype=torch.float32))
            return torch.empty_like(x)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad.expand(ctx.saved_tensors[0].shape), None

    return OneKernel.apply(x, gain)


def every_second_product() -> Any:
    """Keep attention and every second product, as torchtitan does."""
    import torch
    from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

    product = torch.ops.aten.mm.default
    kept = {product, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default}
    counts = {True: 0, False: 0}

    def policy(context: Any, operation: Any, *_: Any, **__: Any) -> Any:
        counts[context.is_recompute] += operation == product
        even = operation == product and counts[context.is_recompute] % 2 == 0
        keep = operation in kept and not even
        return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


OWN = replace(LLAMA_8B, width=2048, n_layers=2, n_heads=16, n_kv_heads=4, feed_forward=5632, vocabulary=1000)
OWN_EXPERTS = replace(
    OWN,
    width=512,
    n_heads=8,
    n_kv_heads=2,
    feed_forward=1408,
    context=512,
    experts=Experts(count=16, top_k=2, width=352, shared=1),
)
OWN_RUNS = (
    *((replace(OWN, context=2048), Layout(recompute=level)) for level in RECOMPUTES),
    *((replace(OWN, context=2048), Layout(tp=4, recompute=level)) for level in RECOMPUTES),
    (replace(OWN, context=2048), Layout(tp=4, sequence_parallel=False)),
    *((OWN_EXPERTS, Layout(recompute=level)) for level in RECOMPUTES),
)


def own_trainer() -> Iterator[dict[str, Any]]:
    """Compare what blocks of the own trainer keep with what is listed for them."""
    errors = []
    for shape, layout in OWN_RUNS:
        keeper = Keeper(shape=shape, compute=2, fused_norms=False, own_turns=True, gathered_keys=True)
        listed = float(layer_bytes(keeper, Layouts.of([layout]))[0][0]) * shape.n_layers * shape.context
        measured = kept_by_trainer(shape, layout)
        errors.append(listed / measured - 1)
        yield {
            "benchmark": "training_memory",
            "what": "own trainer",
            "run": f"{'experts, ' if shape.experts else ''}width {shape.width}, {layout}",
            "measured_bytes": measured,
            "listed_bytes": listed,
            "ratio": round(listed / measured, 5),
            "goal": TRACKER_GOAL,
            "held": abs(errors[-1]) <= TRACKER_GOAL,
        }
    yield summary("own trainer", errors, TRACKER_GOAL)


def kept_by_trainer(shape: Shape, layout: Layout) -> float:
    """Return the bytes that all blocks of one rank keep, where the other ranks are not there."""
    from contextlib import ExitStack

    import torch
    import torch.distributed as dist
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from scalescope.training.distributed.mesh import place_ranks
    from scalescope.training.distributed.recomputation import forget
    from scalescope.training.distributed.stage import Stage
    from scalescope.training.distributed.tensor_parallel import share_matrices
    from scalescope.training.kept import KeptTensors
    from scalescope.training.network import Network

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=layout.devices)
    ranks = place_ranks(layout, torch.device("cpu"))
    with ExitStack() as stack:
        stack.callback(dist.destroy_process_group)
        if shape.experts is None:  # sizes of experts need contents
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        torch.set_default_dtype(torch.bfloat16)
        stack.callback(torch.set_default_dtype, torch.float32)
        places = torch.arange(shape.context)
        stage = Stage(Network(shape), places)
        share_matrices(stage, ranks)
        forget(stage.network, layout.recompute)
        tokens = shape.context // (layout.tp if layout.sequence_parallel else 1)
        x = torch.randn(1, tokens, shape.width, requires_grad=True)
        with KeptTensors() as watched:
            y = x
            for block in stage.network.blocks.values():
                y = block(y, places)
        own = (*stage.network.parameters(), *stage.network.buffers())
        # norms without a kernel copy their input and do not keep it
        keeps_input = layout.recompute in ("operations", "full")
        return float(watched.bytes(but=(x, y, places, *own)) + (x.nbytes if keeps_input else 0))


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", type=Path)
    tables = parser.parse_args().tables
    for made in (
        peaks(tables / "torchtitan_perf.csv"),
        runs_that_fitted(tables / "llmfoundry_mpt_throughput.csv"),
        stated(),
        tracked_blocks(),
        own_trainer(),
    ):
        for line in made:
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
