"""Memory of one call from what is alive."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cost_examples import bert_base, llama_1b, with_span

from scalescope.cost import Positions
from scalescope.cost.memory import memory_of_call
from scalescope.points import Workload


def estimate(anatomy, length=1024, *, kind="prefill", dtype="fp32", attention="sdpa", **more):
    return memory_of_call(
        anatomy, Workload(kind=kind, length=length, **more), dtype=dtype, attention=attention
    )


def test_weights_are_the_parameters_in_their_type():
    assert estimate(bert_base(), kind="encode").weights == 4 * 109_482_240
    assert estimate(llama_1b(), dtype="bf16").weights == 2 * 1_034_512_384


def test_int8_leaves_embeddings_and_norms_in_fp32_and_loads_beside_the_full_weights():
    found = estimate(llama_1b(), dtype="int8")
    matrices = sum(one.params for one in llama_1b().matrices if one.side != "head")
    assert found.weights == matrices + 4 * (1_034_512_384 - matrices)
    assert found.load_peak > 4 * 1_034_512_384


def test_loading_a_file_of_another_type_holds_both():
    workload = Workload(kind="prefill", length=16)
    call = {"dtype": "bf16", "attention": "sdpa"}
    converted = memory_of_call(llama_1b(), workload, loading="converted", **call)
    # Measured: TinyLlama needs 6.6 GB to load in bf16 from an fp32 file, for 2.2 GB of weights.
    assert converted.peak == pytest.approx(6.2e9, rel=0.02)
    assert memory_of_call(llama_1b(), workload, **call).peak < 2.3e9


def test_eager_scores_grow_with_the_square_and_fused_ones_are_never_written():
    grown = estimate(llama_1b(), 4096, attention="eager").activations
    assert grown / estimate(llama_1b(), 2048, attention="eager").activations == pytest.approx(4, rel=0.12)
    fused = estimate(llama_1b(), 4096).activations
    assert fused / estimate(llama_1b(), 2048).activations == pytest.approx(2, rel=1e-6)


def test_the_softmax_of_bf16_scores_is_held_in_fp32_twice():
    found = estimate(llama_1b(), 4096, attention="eager", dtype="bf16")
    scores = next(one for one in found.alive if one.name.startswith("scores"))
    assert scores.bytes == 32 * 4096**2 * (2 + 4 + 4)
    assert found.moment == "decoder causal"


def test_a_bias_on_the_scores_is_a_square_even_when_fused():
    biased = replace(llama_1b(), positions=Positions(kind="alibi", limit=None))
    assert estimate(biased, 4096).activations - estimate(llama_1b(), 4096).activations == 32 * 4096**2 * 4


def test_the_cache_is_that_of_grouped_keys_and_values():
    assert estimate(llama_1b(), 1000).cache == 1000 * 22 * 2 * 4 * 64 * 4
    assert estimate(bert_base(), 512, kind="encode").cache == 0


def test_a_sliding_window_bounds_the_cache():
    windowed = with_span(llama_1b(), span="window", window=256)
    assert estimate(windowed, 4096).cache == estimate(windowed, 256).cache


def test_logits_are_of_the_last_token_for_prefill_and_of_all_for_encode():
    assert estimate(llama_1b(), 4096, head=True).logits == 32000 * 4
    assert estimate(bert_base(), 512, kind="encode", head=True).logits == 512 * 30522 * 4


def test_a_naive_mamba_scan_lays_out_the_state_of_every_token():
    scan = replace(with_span(llama_1b(), span="recurrent", state=65536), model_type="mamba")
    assert estimate(scan, 1024).moment == "decoder recurrent"
    assert estimate(scan, 2048).activations == pytest.approx(2 * estimate(scan, 1024).activations)


def test_only_the_largest_pass_of_a_call_counts():
    many = Workload(length=500, batch=1, lengths=(500, 100, 100), batching="padded")
    one = Workload(length=500, batch=1, lengths=(500,), batching="padded")
    call = {"dtype": "fp32", "attention": "sdpa"}
    assert memory_of_call(bert_base(), many, **call).peak == memory_of_call(bert_base(), one, **call).peak
