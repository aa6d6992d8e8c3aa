"""FLOP of an anatomy against torch's own counter, on small instances that really run."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

from small_configs import SMALL

from scalescope.cost import Anatomy
from scalescope.inference.anatomy import COUNTED, anatomy_of
from scalescope.inference.anatomy_building import build

AGREEMENT = 0.02
COMPUTES_OTHERWISE = {
    "bamba": "a scan in chunks multiplies within each chunk",
    "big_bird": "first and last blocks look at everything",
    "bigbird_pegasus": "first and last blocks look at everything",
    "falcon_h1": "a scan in chunks multiplies within each chunk",
    "led": "bands are multiplied as overlapping squares, twice the window",
    "longformer": "bands are multiplied as overlapping squares, twice the window",
    "longt5": "global tokens come on top, one per block",
    "mamba2": "a scan in chunks multiplies within each chunk",
    "minimax": "linear attention multiplies within each chunk",
    "qwen3_next": "linear attention multiplies within each chunk",
    "xlstm": "linear attention multiplies within each chunk",
}
"""Why the scores that are computed are not those that are useful; the matrices still have to agree."""
BANDED = {"big_bird", "bigbird_pegasus", "deberta", "deberta-v2", "led", "longformer", "longt5", "reformer"}
"""Compute only what is inside the window; all others compute all scores and mask them."""
WITHOUT_PRODUCTS = {"rwkv", "recurrent_gemma"}
"""Read their state elementwise, which the counter does not count."""
OF_SCORES = ("bmm", "baddbmm")


def counted(model_type: str, length: int, *, head: bool) -> tuple[Anatomy, dict[str, int], dict[str, float]]:
    """Run a small instance; return its anatomy, tokens by side, and FLOP by operation."""
    import torch
    import transformers
    from torch.utils.flop_counter import FlopCounterMode

    built = build(model_type, SMALL[model_type])
    anatomy = anatomy_of(model_type, {}, built=built)
    built.config._attn_implementation = "eager"
    built.config._experts_implementation = "eager"
    torch.manual_seed(0)
    module = getattr(transformers, anatomy.head_class if head else anatomy.bare_class)(built.config).eval()
    calls: dict[str, Any] = {}
    tokens = {"encoder": length, "decoder": length, "image": anatomy.image_tokens}
    if "input_ids" in anatomy.inputs:
        calls["input_ids"] = torch.randint(3, 300, (1, length))
    if "decoder_input_ids" in anatomy.inputs:
        tokens["decoder"] = length // 2
        calls["decoder_input_ids"] = torch.randint(3, 300, (1, length // 2))
    if "pixel_values" in anatomy.inputs:
        calls["pixel_values"] = torch.randn(1, 3, 64, 64)
    # DeBERTa's scripted functions need gradients under the counter
    with torch.set_grad_enabled(model_type == "deberta"), FlopCounterMode(display=False) as counter:
        module(**calls)
    by_operation = {str(name): float(flop) for name, flop in counter.get_flop_counts()["Global"].items()}
    return anatomy, tokens, by_operation


def of_matrices(anatomy: Anatomy, tokens: dict[str, int], *, head: bool) -> float:
    tokens = {**tokens, "head": tokens["decoder" if anatomy.causal else "encoder"] if head else 0}
    if anatomy.inputs == ("pixel_values",) and head:
        tokens["head"] = 1
    return anatomy.flop_per_call + sum(one.flop_per_token * tokens[one.side] for one in anatomy.matrices)


def of_scores(anatomy: Anatomy, tokens: dict[str, int]) -> float:
    total = 0.0
    for layers in anatomy.attention:
        queries = tokens[layers.side]
        keys = tokens["encoder"] if layers.span == "cross" else queries
        values = layers.head_size if layers.value_size is None else layers.value_size
        if layers.span in ("recurrent", "linear"):
            read = 0 if anatomy.model_type in WITHOUT_PRODUCTS else layers.head_size * values
            total += 2.0 * queries * layers.n_heads * layers.count * read
            continue
        if layers.window and anatomy.model_type in BANDED:
            keys = min(keys, layers.window)
        total += 2.0 * queries * keys * layers.n_heads * (layers.head_size + values) * layers.count
    return total


def lengths_of(model_type: str) -> tuple[int, int]:
    return (16, 64) if model_type in ("clip", "siglip") else (64, 256)


@pytest.mark.parametrize("model_type", sorted(COUNTED))
class TestCountedTypes:
    def test_flop_agree_with_the_counter_at_two_lengths(self, model_type):
        for length in lengths_of(model_type):
            anatomy, tokens, counts = counted(model_type, length, head=False)
            expected, measured = of_matrices(anatomy, tokens, head=False), sum(counts.values())
            if model_type in COMPUTES_OTHERWISE:
                measured -= sum(flop for name, flop in counts.items() if name.endswith(OF_SCORES))
            else:
                expected += of_scores(anatomy, tokens)
            assert expected == pytest.approx(measured, rel=AGREEMENT)

    def test_the_head_adds_its_own_flop(self, model_type):
        if not anatomy_of(model_type, SMALL[model_type]).head_class:
            pytest.skip("no head")
        length = lengths_of(model_type)[0]
        anatomy, tokens, counts = counted(model_type, length, head=True)
        expected, measured = of_matrices(anatomy, tokens, head=True), sum(counts.values())
        if model_type in COMPUTES_OTHERWISE:
            measured -= sum(flop for name, flop in counts.items() if name.endswith(OF_SCORES))
        else:
            expected += of_scores(anatomy, tokens)
        assert expected == pytest.approx(measured, rel=AGREEMENT)


def test_every_counted_type_has_a_small_configuration():
    assert set(SMALL) == COUNTED
