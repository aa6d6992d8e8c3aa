"""Time and memory of every mixer against length.  One JSON line a figure.

    OMP_NUM_THREADS=2 python benchmarks/mixers.py > benchmarks/results/mixers.jsonl
    python benchmarks/mixers.py --lengths 256,512,1024        a look, in half a minute

`layer`: forward and backward of one layer (width 128, two heads, one sequence, fp32), by scalescope and,
where transformers has the block, by it. Seconds, by the clock and of the processors (which other work on the
machine disturbs less), are the least of up to three runs after a short one.
`peak_bytes` is resident memory at its highest in a process of its own, less what it was with the layer built
and the short run done: inputs, all that autograd keeps, temporaries and gradients. A length is skipped where
the length before lets expect more than `LONGEST_S` at quadratic growth.
`growth`: exponents of seconds and bytes in the length over the last two octaves; 1 is linear, 2 quadratic.
`beside`: at the greatest common length, seconds and bytes over those of full attention (torch's fused
kernel), and over those of transformers.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from scalescope.cost import MIXERS, Hashing, Linear, Mixer, Shape, StateSpace
from scalescope.training.blocks.mixers import build_mixer

LENGTHS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
LONGEST_S = 40.0
WARM = 256
Run = Callable[[Tensor], Tensor]
Figures = dict[tuple[str, str, int], tuple[float, float, int]]
"""Mixer, maker and length to seconds, seconds of the processors, and bytes."""


def shape_of(length: int) -> Shape:
    """One layer of each mixer at its usual sizes."""
    return Shape(
        width=128,
        n_layers=1,
        n_heads=2,
        n_kv_heads=2,
        feed_forward=256,
        vocabulary=256,
        context=length,
        window=256,
        pattern=("full",),
        linear=Linear(chunk=64),
        hashing=Hashing(bucket=64, rounds=1),
        state_space=StateSpace(state=128, head_size=64, chunk=256),
    )


def ours(mixer: Mixer, shape: Shape) -> tuple[nn.Module, Run]:
    """The block of this project."""
    module = build_mixer(mixer, shape)
    nn.init.normal_(module.out.weight, std=shape.width**-0.5)
    return module, lambda x: module(x, torch.arange(x.shape[1]))


def theirs(mixer: Mixer, shape: Shape) -> tuple[nn.Module, Run]:
    """The block of transformers."""
    return PEERS[mixer](shape)


def mistral(shape: Shape) -> tuple[nn.Module, Run]:
    """Fused attention under a mask of length x length."""
    from transformers import MistralConfig
    from transformers.masking_utils import create_sliding_window_causal_mask
    from transformers.models.mistral.modeling_mistral import MistralAttention, MistralRotaryEmbedding

    config = MistralConfig(
        hidden_size=shape.width,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        sliding_window=shape.window,
        max_position_embeddings=shape.context,
        attn_implementation="sdpa",
    )
    module, turns = MistralAttention(config, 0), MistralRotaryEmbedding(config)

    def run(x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1]).unsqueeze(0)
        mask = create_sliding_window_causal_mask(
            config=config, inputs_embeds=x, attention_mask=None, past_key_values=None, position_ids=places
        )
        return module(x, position_embeddings=turns(x, places), attention_mask=mask)[0]

    return module, run


def reformer(shape: Shape) -> tuple[nn.Module, Run]:
    """Hashes, chunks and an output matrix; it takes whole chunks."""
    from transformers import ReformerConfig
    from transformers.models.reformer.modeling_reformer import LSHSelfAttention

    assert shape.hashing is not None
    config = ReformerConfig(
        hidden_size=shape.width,
        num_attention_heads=shape.n_heads,
        attention_head_size=shape.head_size,
        attn_layers=["lsh"],
        lsh_attn_chunk_length=shape.hashing.bucket,
        lsh_num_chunks_after=0,
        lsh_attention_probs_dropout_prob=0.0,
        num_hashes=shape.hashing.rounds,
        max_position_embeddings=shape.context,
        is_decoder=True,
        axial_pos_embds=False,
    )
    module = nn.ModuleDict(
        {"mixer": LSHSelfAttention(config, 0), "out": nn.Linear(shape.width, shape.width, bias=False)}
    )
    return module, lambda x: module["out"](module["mixer"](x).hidden_states)


def minimax(shape: Shape) -> tuple[nn.Module, Run]:
    """Lightning attention."""
    from transformers import MiniMaxConfig
    from transformers.models.minimax.modeling_minimax import MiniMaxLightningAttention

    assert shape.linear is not None
    config = MiniMaxConfig(
        hidden_size=shape.width,
        num_attention_heads=shape.n_heads,
        num_hidden_layers=2,
        block_size=shape.linear.chunk,
    )
    module = MiniMaxLightningAttention(config, 0)
    return module, lambda x: module(x, (None, None), None)[0]


def qwen3_next(shape: Shape) -> tuple[nn.Module, Run]:
    """The gated delta net."""
    from transformers import Qwen3NextConfig
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    config = Qwen3NextConfig(
        hidden_size=shape.width,
        num_hidden_layers=1,
        layer_types=["linear_attention"],
        linear_num_key_heads=shape.n_heads,
        linear_num_value_heads=shape.n_heads,
        linear_key_head_dim=shape.head_size,
        linear_value_head_dim=shape.head_size,
    )
    module = Qwen3NextGatedDeltaNet(config, 0)
    return module, module


def mamba2(shape: Shape) -> tuple[nn.Module, Run]:
    """The mixer of Mamba-2, by its path without kernels."""
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    space = shape.state_space
    assert space is not None
    config = Mamba2Config(
        hidden_size=shape.width,
        num_hidden_layers=1,
        expand=space.expand,
        head_dim=space.head_size,
        num_heads=space.expand * shape.width // space.head_size,
        state_size=space.state,
        n_groups=space.groups,
        chunk_size=space.chunk,
    )
    module = Mamba2Mixer(config, 0)
    return module, module


PEERS: dict[Mixer, Callable[[Shape], tuple[nn.Module, Run]]] = {
    "window": mistral,
    "hashed": reformer,
    "retention": minimax,
    "gated-delta": qwen3_next,
    "mamba2": mamba2,
}
MAKERS = {"scalescope": ours, "transformers": theirs}


def resident(what: str) -> int:
    """Bytes of this process, `VmRSS` now or `VmHWM` at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def once(run: Run, length: int, width: int) -> tuple[float, float]:
    """Seconds of one forward and backward, by the clock and of the processors."""
    x = torch.randn(1, length, width, requires_grad=True)
    begin, busy = time.perf_counter(), time.process_time()
    run(x).square().mean().backward()
    return time.perf_counter() - begin, time.process_time() - busy


def measure(mixer: Mixer, maker: str, length: int) -> tuple[float, float, int]:
    """Both kinds of seconds, and bytes, in this process."""
    torch.manual_seed(0)
    shape = shape_of(length)
    _, run = MAKERS[maker](mixer, shape)
    once(run, min(WARM, length), shape.width)
    before, seconds = resident("VmRSS"), [once(run, length, shape.width)]
    peak = max(0, resident("VmHWM") - before)
    while len(seconds) < 3 and sum(wall for wall, _ in seconds) < 3.0:
        seconds.append(once(run, length, shape.width))
    return min(wall for wall, _ in seconds), min(cpu for _, cpu in seconds), peak


def measure_all(lengths: list[int], mixers: list[Mixer]) -> Figures:
    """Measure each in a process of its own, forked from this one, which has computed nothing."""
    found: Figures = {}
    for mixer in mixers:
        for maker in ("scalescope", *(("transformers",) if mixer in PEERS else ())):
            for length in lengths:
                if found and _too_long(found, mixer, maker, length):
                    say("layer", mixer=mixer, by=maker, length=length, skipped=True)
                    continue
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    seconds, cpu_seconds, peak = pool.apply(measure, (mixer, maker, length))
                found[mixer, maker, length] = seconds, cpu_seconds, peak
                say(
                    "layer",
                    mixer=mixer,
                    by=maker,
                    length=length,
                    seconds=seconds,
                    cpu_seconds=cpu_seconds,
                    peak_bytes=peak,
                )
    return found


def _too_long(found: Figures, mixer: str, maker: str, length: int) -> bool:
    known = [(key[2], value[0]) for key, value in found.items() if key[:2] == (mixer, maker)]
    return bool(known) and known[-1][1] * (length / known[-1][0]) ** 2 > LONGEST_S


def growths(found: Figures) -> Iterator[dict[str, object]]:
    """Slopes of the logarithms over the last two octaves."""
    for mixer, maker in dict.fromkeys(key[:2] for key in found):
        lengths = [key[2] for key in found if key[:2] == (mixer, maker)]
        last = [length for length in lengths if length * 4 >= lengths[-1]]
        if len(last) < 2:
            continue
        (first_s, first_c, first_b), (last_s, last_c, last_b) = (
            found[mixer, maker, each] for each in (last[0], last[-1])
        )
        octaves = math.log2(last[-1] / last[0])
        yield {
            "mixer": mixer,
            "by": maker,
            "lengths": [last[0], last[-1]],
            "seconds_exponent": math.log2(last_s / first_s) / octaves,
            "cpu_seconds_exponent": math.log2(last_c / first_c) / octaves,
            "bytes_exponent": math.log2(max(last_b, 1) / max(first_b, 1)) / octaves,
        }


def besides(found: Figures) -> Iterator[dict[str, object]]:
    """Ratios at the greatest common length."""
    for mixer in dict.fromkeys(key[0] for key in found):
        for other in (("full", "scalescope"), (mixer, "transformers")):
            lengths = [
                key[2] for key in found if key[:2] == (mixer, "scalescope") and (*other, key[2]) in found
            ]
            if lengths and other != (mixer, "scalescope"):
                mine, peer = found[mixer, "scalescope", lengths[-1]], found[*other, lengths[-1]]
                yield {
                    "mixer": mixer,
                    "peer": " by ".join(other),
                    "length": lengths[-1],
                    "seconds_over_peer": mine[0] / peer[0],
                    "cpu_seconds_over_peer": mine[1] / peer[1],
                    "bytes_over_peer": mine[2] / max(peer[2], 1),
                }


def say(figure: str, **values: object) -> None:
    """Print one line."""
    rounded = {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()
    }
    print(json.dumps({"benchmark": "mixers", "figure": figure, **rounded}), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--mixers", default=",".join(MIXERS))
    given = parser.parse_args()
    import transformers.models.mamba2.modeling_mamba2  # noqa: F401  # once, before the forks

    say("machine", torch=torch.__version__, threads=torch.get_num_threads(), width=128)
    found = measure_all([int(each) for each in given.lengths.split(",")], given.mixers.split(","))
    for line in growths(found):
        say("growth", **line)
    for line in besides(found):
        say("beside", **line)


if __name__ == "__main__":
    main()
