"""Texts become batches, and the padding of each is known before anything runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import Anatomy, AttentionLayers, Positions
from scalescope.cost.batching import (
    MOST,
    Batch,
    batches_in,
    batches_of,
    computed_tokens,
    computed_width,
    reply_length,
    waste_of,
)
from scalescope.errors import InputError
from scalescope.points import Workload

FULL = AttentionLayers(count=12, span="full", n_heads=12, head_size=64, n_kv_heads=12)
BERT = Anatomy(
    model_type="bert",
    bare_class="BertModel",
    head_class="BertForMaskedLM",
    params=109_482_240,
    params_with_head=109_514_298,
    hidden=768,
    n_layers=12,
    feed_forward=3072,
    vocabulary=30522,
    attention=(FULL,),
    positions=Positions(kind="table", limit=512),
    causal=False,
    attention_kinds=("eager", "sdpa"),
)
T5 = replace(
    BERT,
    model_type="t5",
    head_class="T5ForConditionalGeneration",
    positions=Positions(kind="relative", limit=None),
    encoder_decoder=True,
    causal=True,
    inputs=("input_ids", "decoder_input_ids"),
)

lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=60)


class TestBatches:
    @given(
        lengths=lengths, batch=st.integers(1, 16), batching=st.sampled_from(["padded", "bucketed", "packed"])
    )
    def test_no_text_is_lost_and_no_batch_is_too_large(self, lengths, batch, batching):
        batches = batches_of(lengths, batch, batching)
        assert sorted(length for one in batches for length in one.lengths) == sorted(lengths)
        assert all(len(one.lengths) <= batch for one in batches)
        assert 0 <= waste_of(batches) < 1

    @given(lengths=lengths, batch=st.integers(1, 16))
    def test_sorting_full_batches_never_wastes_more_and_packing_wastes_nothing(self, lengths, batch):
        full = lengths[: len(lengths) // batch * batch] or lengths[:1] * batch
        padded, bucketed, packed = (
            waste_of(batches_of(full, batch, how)) for how in ("padded", "bucketed", "packed")
        )
        assert bucketed <= padded + 1e-12
        assert packed == 0

    def test_sorting_may_waste_more_where_the_last_batch_is_small(self):
        assert waste_of(batches_of((1, 1, 2), 2, "padded")) == 0
        assert waste_of(batches_of((1, 1, 2), 2, "bucketed")) == pytest.approx(1 / 5)

    def test_waste_is_counted_exactly(self):
        assert waste_of(batches_of((10, 2, 9, 1), 2, "padded")) == 1 - 22 / 38
        assert waste_of(batches_of((10, 2, 9, 1), 2, "bucketed")) == 1 - 22 / 24

    def test_a_packed_batch_is_one_row(self):
        (batch,) = batches_of((3, 2), 2, "packed")
        assert (batch.rows, batch.width, batch.computed, batch.padded) == (1, 5, 5, False)

    def test_single_never_pads(self):
        assert batches_of((5, 3), 1, "single") == (Batch(lengths=(5,)), Batch(lengths=(3,)))
        with pytest.raises(InputError, match="unequal"):
            batches_of((5, 3), 2, "single")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (((), 1, "padded"), "no text"),
            (((0,), 1, "padded"), "length must be"),
            (((-4,), 1, "padded"), "length must be"),
            (((2**31,), 1, "padded"), "length must be"),
            (((5,), 0, "padded"), "batch must be"),
            (((5,), True, "padded"), "batch must be"),
            (((5,), 1, "paded"), "unknown batching"),
        ],
    )
    def test_bad_numbers_are_refused_in_one_line(self, given, said):
        with pytest.raises(InputError, match=said) as caught:
            batches_of(*given)
        assert "\n" not in str(caught.value)

    def test_a_plain_workload_is_one_batch(self):
        assert batches_in(Workload(length=7, batch=3)) == (Batch(lengths=(7, 7, 7)),)

    def test_computed_tokens_include_padding(self):
        workload = Workload(length=10, batch=2, lengths=(10, 2, 9, 1), batching="padded")
        assert workload.tokens == 22
        assert computed_tokens(BERT, workload) == 38

    def test_longformer_pads_to_its_window_and_short_texts_of_bigbird_do_not(self):
        window = replace(BERT, positions=Positions(kind="table", limit=4096, multiple_of=512))
        assert [computed_width(window, width) for width in (128, 512, 513)] == [512, 512, 1024]
        block = replace(
            BERT,
            positions=Positions(kind="table", limit=4096, multiple_of=64),
            attention=(replace(FULL, span="block", window=512),),
        )
        assert [computed_width(block, width) for width in (100, 704, 705)] == [100, 704, 768]


class TestReplyLength:
    def test_it_is_short_however_long_the_text(self):
        assert [reply_length(T5, length) for length in (32, 128, 2048)] == [32, 128, 128]

    def test_it_stays_within_the_decoder(self):
        short = replace(T5, positions=Positions(kind="table", limit=512, decoder_limit=64))
        assert reply_length(short, 512) == 64

    def test_it_is_nothing_without_a_decoders_side(self):
        assert reply_length(BERT, 512) == 0


def test_the_longest_text_is_that_of_32_bit_positions():
    assert math.log2(MOST + 1) == 31
