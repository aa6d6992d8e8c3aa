"""FLOP, bytes and cache of one call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cost_examples import bert_base, llama_1b, with_span
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import AttentionLayers, Matrix, Positions
from scalescope.cost.calls import count_call
from scalescope.points import Workload

ENCODE_512 = Workload(kind="encode", length=512)
PREFILL_512 = Workload(kind="prefill", length=512)


def test_bert_at_512_takes_the_flop_of_its_matrices_and_of_all_scores():
    count = count_call(bert_base(), ENCODE_512, attention="sdpa")
    # 12 layers x (4 x 768^2 + 2 x 768 x 3072) parameters, and 4 L^2 h a layer for scores and values.
    assert count.matrices == 2 * 512 * 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert count.scores == 4 * 512**2 * 768 * 12
    assert count.head == 0
    assert count.computed == count.flop


def test_a_causal_model_needs_half_of_the_scores_and_eager_computes_all_of_them():
    fused = count_call(llama_1b(), PREFILL_512, attention="sdpa")
    eager = count_call(llama_1b(), PREFILL_512, attention="eager")
    assert fused.scores == eager.scores == 4 * 2048 * 22 * 512 * 513 / 2
    assert fused.computed == fused.flop
    assert eager.computed - eager.flop == 4 * 2048 * 22 * (512**2 - 512 * 513 / 2)


def test_a_bias_on_the_scores_leaves_nothing_to_skip():
    biased = replace(llama_1b(), positions=Positions(kind="alibi", limit=None))
    count = count_call(biased, PREFILL_512, attention="sdpa")
    assert count.computed == count_call(llama_1b(), PREFILL_512, attention="eager").computed


def test_a_window_bounds_what_is_needed_but_not_what_a_mask_computes():
    windowed = with_span(llama_1b(), span="window", window=128)
    count = count_call(windowed, PREFILL_512, attention="sdpa")
    pairs = 128 * 129 / 2 + (512 - 128) * 128
    assert count.scores == 4 * 2048 * 22 * pairs
    assert count.computed - count.matrices == 4 * 2048 * 22 * 512**2


def test_longformer_computes_as_much_at_128_as_at_512():
    # Measured: Longformer at 128 costs as much as at 512, as it pads to its window.
    padding = replace(
        with_span(bert_base(), span="window", window=513),
        positions=Positions(kind="table", limit=4096, multiple_of=512),
    )
    short = count_call(padding, Workload(length=128), attention="eager")
    long = count_call(padding, Workload(length=512), attention="eager")
    assert short.computed == long.computed
    assert short.flop < long.flop / 3.9


def test_decode_counts_one_token_at_the_mean_context_and_reads_every_weight():
    decode = Workload(kind="decode", length=512, new_tokens=31)
    count = count_call(llama_1b(), decode, attention="sdpa", dtype="bf16")
    assert count.tokens == 1
    assert count.scores == 4 * 2048 * 22 * (512 + 16)
    assert count.head == 2 * 2048 * 32000
    assert count.weight_bytes == 2 * sum(matrix.params for matrix in llama_1b().matrices)
    # Keys and values of 4 heads of 64 in 22 layers, 2 bytes each, at the end of the call.
    assert count.cache_bytes == (512 + 31) * 22 * 2 * 4 * 64 * 2


def test_prefill_with_a_head_makes_the_logits_of_the_last_token_and_encode_those_of_all():
    prefill = count_call(llama_1b(), replace(PREFILL_512, head=True), attention="sdpa")
    encode = count_call(bert_base(), replace(ENCODE_512, head=True), attention="sdpa")
    assert prefill.head == 2 * 2048 * 32000
    assert encode.head == 2 * 768 * 30522 * 512


def test_an_expert_sees_its_share_and_is_read_if_a_token_meets_it():
    routed = replace(
        llama_1b(),
        matrices=(Matrix(rows=100, columns=100, count=8, share=0.25),),
        attention=(),
    )
    one = count_call(routed, Workload(kind="prefill", length=1), attention="sdpa")
    many = count_call(routed, Workload(kind="prefill", length=1000), attention="sdpa")
    assert one.matrices == 2 * 100 * 100 * 2
    assert many.products[0].rows == 250
    assert many.products[0].runs == 8
    assert one.weight_bytes == 4 * 100 * 100 * 2
    assert many.weight_bytes == pytest.approx(4 * 100 * 100 * 8)


def test_a_shared_layer_runs_as_often_as_it_says():
    shared = replace(bert_base(), matrices=(Matrix(rows=10, columns=10, count=1, share=12, side="encoder"),))
    count = count_call(shared, Workload(length=7), attention="sdpa")
    assert count.matrices == 2 * 100 * 12 * 7
    assert sum(one.flop for one in count.products) == count.matrices


def test_the_sides_of_an_encoder_decoder_see_different_tokens():
    both = replace(
        bert_base(),
        encoder_decoder=True,
        causal=True,
        positions=Positions(kind="table", limit=1024),
        matrices=(
            Matrix(rows=10, columns=10, count=1, side="encoder"),
            Matrix(rows=10, columns=10, count=1, side="decoder"),
        ),
        attention=(
            AttentionLayers(count=1, span="cross", n_heads=1, head_size=10, n_kv_heads=1, side="decoder"),
        ),
    )
    count = count_call(both, Workload(length=1000), attention="sdpa")
    assert count.by_side == {"encoder": 200 * 1000, "decoder": 200 * 128}
    assert count.scores == 4 * 10 * 128 * 1000


def test_a_scan_grows_with_the_length_and_not_with_its_square():
    scan = with_span(llama_1b(), span="recurrent", state=1000, n_kv_heads=0)
    short = count_call(scan, Workload(kind="prefill", length=100), attention="eager")
    long = count_call(scan, Workload(kind="prefill", length=200), attention="eager")
    assert short.scores == 0
    assert long.scan == 2 * short.scan > 0
    assert long.cache_bytes == short.cache_bytes == 22 * 1000 * 4


def test_padding_is_computed_and_not_useful():
    lengths = (100, 300, 500)
    padded = Workload(length=500, batch=3, lengths=lengths, batching="padded")
    packed = replace(padded, batching="packed")
    waste = count_call(bert_base(), padded, attention="sdpa")
    tight = count_call(bert_base(), packed, attention="sdpa")
    assert waste.flop == tight.flop
    assert waste.tokens == 1500
    assert tight.tokens == 900
    assert sum(one.flop for one in waste.products) / sum(one.flop for one in tight.products) == pytest.approx(
        1500 / 900
    )


def test_a_call_of_many_batches_runs_the_model_once_for_each():
    workload = Workload(length=500, batch=2, lengths=(500, 400, 300, 100), batching="bucketed")
    count = count_call(bert_base(), workload, attention="sdpa")
    assert count.passes == 2
    assert count.tokens == 2 * 500 + 2 * 300
    assert count.weight_bytes == 2 * count_call(bert_base(), ENCODE_512, attention="sdpa").weight_bytes


@given(
    st.integers(1, 4096), st.sampled_from(["eager", "sdpa"]), st.sampled_from(["causal", "full", "window"])
)
def test_nothing_useful_is_left_uncomputed(length, attention, span):
    anatomy = with_span(llama_1b(), span=span, window=300 if span == "window" else None)
    count = count_call(anatomy, Workload(kind="prefill", length=length), attention=attention)
    assert count.computed >= count.flop * (1 - 1e-12)
