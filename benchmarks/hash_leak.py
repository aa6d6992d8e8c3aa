"""Whether later tokens decide what earlier ones see in attention by hashes.  One JSON line a figure.

    python benchmarks/hash_leak.py > benchmarks/results/hash_leak.jsonl

A causal block is given a text of 64 positions twice, the second time with other vectors in its last quarter.
`changed` is the share of the outputs before that quarter that differ by more than 1e-5: none should. Blocks
are that of transformers' Reformer, whose chunks of the sorted sequence begin where the whole text says, and
ours with its weights, which looks at the last tokens of the same bucket. Means over `--draws` draws of
weights, hashes and texts, a line for each number of rounds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor, nn
from transformers import ReformerConfig
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from scalescope.cost import Hashing, Shape
from scalescope.training.blocks.mixers import build_mixer

TIME, CHANGED, BUCKET, WIDTH, HEADS = 64, 16, 8, 32, 4
LEAST = 1e-5


def reformer(rounds: int) -> nn.Module:
    """The block of transformers, chunks as long as a bucket would be if all were alike."""
    config = ReformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_head_size=WIDTH // HEADS,
        attn_layers=["lsh"],
        lsh_attn_chunk_length=BUCKET,
        lsh_num_chunks_before=1,
        lsh_num_chunks_after=0,
        lsh_attention_probs_dropout_prob=0.0,
        num_buckets=TIME // BUCKET,
        num_hashes=rounds,
        is_decoder=True,
        hash_seed=5,  # equal hashes for both texts
        axial_pos_embds=False,
    )
    return LSHSelfAttention(config, layer_idx=0).eval()


def ours_like(theirs: nn.Module, rounds: int) -> nn.Module:
    """Our block with the weights of theirs; an output matrix of ones on the diagonal changes nothing."""
    shape = Shape(
        width=WIDTH,
        n_layers=1,
        n_heads=HEADS,
        n_kv_heads=HEADS,
        feed_forward=WIDTH,
        vocabulary=256,
        context=TIME,
        positions="none",
        pattern=("hashed",),
        hashing=Hashing(bucket=BUCKET, rounds=rounds),
    )
    ours = build_mixer("hashed", shape).eval()
    with torch.no_grad():
        ours.query_key.weight.copy_(theirs.query_key.weight)
        ours.value.weight.copy_(theirs.value.weight)
        ours.out.weight.copy_(torch.eye(WIDTH))
    return ours


@torch.no_grad()
def changed(block: Callable[[Tensor], Tensor]) -> float:
    """Share of earlier outputs that move with the last quarter of a text."""
    text = torch.randn(2, TIME, WIDTH)
    other = text.clone()
    other[:, -CHANGED:] = torch.randn(2, CHANGED, WIDTH)
    moved = (block(text) - block(other))[:, :-CHANGED].abs().amax(-1)
    return float(moved.gt(LEAST).float().mean())


def one_draw(seed: int, rounds: int) -> tuple[float, float]:
    """Share in the block of transformers, and in ours."""
    torch.manual_seed(seed)
    theirs = reformer(rounds)
    nn.init.normal_(theirs.query_key.weight, std=WIDTH**-0.5)
    nn.init.normal_(theirs.value.weight, std=WIDTH**-0.5)
    ours = ours_like(theirs, rounds)
    torch.manual_seed(seed)
    found = changed(lambda x: theirs(x).hidden_states)
    torch.manual_seed(seed)
    return found, changed(lambda x: ours(x, torch.arange(TIME)))


def main() -> None:
    """Print a line for each number of rounds."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--draws", type=int, default=20)
    draws = reader.parse_args().draws
    for rounds in (1, 2, 4):
        theirs, ours = zip(*(one_draw(seed, rounds) for seed in range(draws)), strict=True)
        line = {
            "benchmark": "hash_leak",
            "rounds": rounds,
            "draws": draws,
            "changed, transformers' Reformer": fmean(theirs),
            "changed, ours": fmean(ours),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
