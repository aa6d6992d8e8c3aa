"""Tokens per second of a network with experts, beside a dense one of equal active size, and beside Mixtral.

One JSON line a figure; the best of several steps (forward and backward) in turns, in CPU seconds of a thread.

    OMP_NUM_THREADS=1 python benchmarks/experts.py > benchmarks/results/experts.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from scalescope.cost import Shape
from scalescope.studies.family import make_shape, with_experts
from scalescope.training.network import Network

VOCABULARY, CONTEXT, TOKENS = 256, 128, 4096


def seconds(each: Sequence[Callable[[], Tensor]], steps: int) -> list[float]:
    """Time the fastest step of each, taken in turns."""
    best = [float("inf")] * len(each)
    for _ in range(steps):
        for place, step in enumerate(each):
            start = time.process_time()
            step().backward()  # type: ignore[no-untyped-call]
            best[place] = min(best[place], time.process_time() - start)
    return best


def own(shape: Shape) -> Callable[[], Tensor]:
    """A step of the general network."""
    network = Network(shape)
    inputs = torch.randint(VOCABULARY, (TOKENS // CONTEXT, CONTEXT))
    return lambda: network.loss(inputs, inputs)


def mixtral(shape: Shape) -> Callable[[], Tensor]:
    """A step of the class of transformers with the same experts."""
    import transformers

    assert shape.experts is not None
    config = transformers.MixtralConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.width,
        intermediate_size=shape.experts.width,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        num_local_experts=shape.experts.count,
        num_experts_per_tok=shape.experts.top_k,
        output_router_logits=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = transformers.MixtralForCausalLM(config)
    inputs = torch.randint(VOCABULARY, (TOKENS // CONTEXT, CONTEXT))
    return lambda: model(input_ids=inputs, labels=inputs, use_cache=False).loss


def aligned(shape: Shape) -> Shape:
    """Return the shape with experts of a width that the peer takes, a multiple of 8."""
    assert shape.experts is not None
    return replace(shape, experts=replace(shape.experts, width=max(8, round(shape.experts.width / 8) * 8)))


def main() -> None:
    """Print the figures of one width."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dense = make_shape(options.width, options.layers, VOCABULARY, CONTEXT)
    for count, top_k in ((8, 1), (8, 2), (32, 2)):
        sparse = aligned(with_experts(dense, count=count, top_k=top_k))
        base, found, peer = seconds((own(dense), own(sparse), mixtral(sparse)), options.steps)
        assert sparse.experts is not None
        figure = {
            "benchmark": "experts",
            "width": options.width,
            "layers": options.layers,
            "experts": f"{count}x{top_k} of {sparse.experts.width}",
            "params": sparse.params,
            "params_active": sparse.params_active,
            "tokens_per_s": round(TOKENS / found),
            "dense_of_equal_active": round(TOKENS / base),
            "mixtral_of_transformers": round(TOKENS / peer),
            "over_dense": round(base / found, 2),
            "over_mixtral": round(peer / found, 2),
        }
        print(json.dumps(figure))


if __name__ == "__main__":
    main()
