"""Workloads are what was asked for, and what cannot run is told before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalescope.cost import Anatomy, AttentionLayers, Positions
from scalescope.cost.batching import MOST, computed_tokens
from scalescope.errors import InputError
from scalescope.inference.models import Model
from scalescope.inference.workloads import N_TEXTS, TASKS, obstacle, workloads_for
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
GPT2 = replace(
    BERT,
    model_type="gpt2",
    head_class="GPT2LMHeadModel",
    attention=(replace(FULL, span="causal"),),
    positions=Positions(kind="table", limit=1024),
    causal=True,
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
VIT = replace(
    BERT,
    model_type="vit",
    positions=Positions(kind="table", limit=None),
    inputs=("pixel_values",),
    image_tokens=197,
)


def model_with(anatomy):
    return Model(name="it", architecture="it", model_type=anatomy.model_type, anatomy=anatomy)


class TestWorkloads:
    def test_each_model_gets_the_pass_that_suits_it(self):
        kinds = [workloads_for(model_with(one), lengths=[128])[0].kind for one in (BERT, GPT2, T5, VIT)]
        assert kinds == ["encode", "prefill", "encode", "encode"]

    def test_lengths_and_batches_multiply(self):
        made = workloads_for(model_with(BERT), lengths=[128, 512], batches=[1, 8])
        assert [(one.length, one.batch) for one in made] == [(128, 1), (128, 8), (512, 1), (512, 8)]

    def test_repeated_lengths_are_asked_once(self):
        assert len(workloads_for(model_with(BERT), lengths=[128, 128])) == 1

    def test_decode_runs_the_head_and_has_new_tokens(self):
        (one,) = workloads_for(model_with(GPT2), lengths=[128], kind="decode", new_tokens=5)
        assert (one.head, one.new_tokens, one.name) == (True, 5, "decode 128+5 head")

    def test_an_image_has_one_length_whatever_is_asked_for(self):
        made = workloads_for(model_with(VIT), lengths=[128, 512, 1024], batches=[1, 2])
        assert [(one.length, one.batch) for one in made] == [(197, 1), (197, 2)]

    @pytest.mark.parametrize("name", TASKS)
    def test_every_task_gives_a_decoder_one_workload_that_names_it(self, name):
        (one,) = workloads_for(model_with(GPT2), task=name)
        task = TASKS[name]
        assert (one.task, one.length, one.new_tokens, one.batch) == (
            name,
            task.length,
            task.new_tokens,
            task.batch,
        )
        assert task.why
        assert task.source

    def test_a_task_can_be_asked_with_another_batch(self):
        (one,) = workloads_for(model_with(BERT), task="classification", batches=[2])
        assert (one.kind, one.batch) == ("encode", 2)

    def test_the_texts_of_a_distribution_are_one_call_however_they_are_batched(self):
        made = {
            how: workloads_for(
                model_with(BERT), lengths=[512], distribution="uniform:16-900", batching=how, batches=[8]
            )
            for how in ("padded", "bucketed", "packed")
        }
        texts = {one.lengths for (one,) in made.values()}
        assert len(texts) == 1
        assert len(next(iter(texts))) == N_TEXTS
        waste = [1 - one.tokens / computed_tokens(BERT, one) for (one,) in made.values()]
        assert waste[0] > waste[1] > waste[2] == 0
        assert all(one.length == max(one.lengths) <= 512 for (one,) in made.values())

    def test_decoding_takes_one_batch_of_a_distribution(self):
        (one,) = workloads_for(
            model_with(GPT2), kind="decode", distribution="uniform:16-90", batching="padded", batches=[4]
        )
        assert len(one.lengths) == 4
        assert obstacle(model_with(GPT2), one) is None

    @pytest.mark.parametrize(
        "options",
        [
            {"lengths": []},
            {"lengths": [0]},
            {"lengths": [-1]},
            {"lengths": [MOST + 1]},
            {"lengths": [12.5]},
            {"lengths": [128], "batches": [0]},
            {"lengths": [128], "kind": "decode", "new_tokens": 0},
            {"lengths": [128], "kind": "encoding"},
            {"task": "sumarisation"},
            {"task": "chat", "kind": "prefill"},
            {"distribution": "uniform:4-9", "batches": [4]},
            {"distribution": "uniform:4-9", "texts": 0},
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_refused_in_one_line(self, options):
        with pytest.raises(InputError) as caught:
            workloads_for(model_with(GPT2), **options)
        assert "\n" not in str(caught.value)

    def test_images_have_no_distribution(self):
        with pytest.raises(InputError, match="images"):
            workloads_for(model_with(VIT), distribution="fixed:4")


DECODE = Workload(kind="decode", length=100, new_tokens=10, head=True)


class TestObstacles:
    @pytest.mark.parametrize(
        ("anatomy", "workload", "reason"),
        [
            (BERT, Workload(length=512), None),
            (BERT, Workload(length=1024), "position table ends at 512"),
            (BERT, Workload(length=100, lengths=(100, 513)), "position table ends at 512"),
            (BERT, DECODE, "does not generate"),
            (BERT, Workload(kind="prefill"), "no causal pass: it does not generate"),
            (GPT2, Workload(kind="prefill", length=1024), None),
            (GPT2, replace(DECODE, length=1015), None),
            (
                GPT2,
                replace(DECODE, length=1016),
                "position table ends at 1024, 1016 tokens and 9 new ones need 1025",
            ),
            (GPT2, Workload(kind="encode", length=128), None),
            (T5, Workload(length=100_000), None),
            (T5, DECODE, None),
            (
                T5,
                Workload(kind="prefill"),
                "an encoder-decoder has no causal pass over its text; encode or decode",
            ),
            (
                replace(T5, positions=Positions(kind="table", limit=512, decoder_limit=8)),
                DECODE,
                "decoder's position table ends at 8",
            ),
            (
                replace(GPT2, positions=Positions(kind="rope_buffer", limit=64)),
                Workload(kind="prefill"),
                "positions (rope_buffer) end at 64",
            ),
            (VIT, Workload(length=197), None),
            (VIT, Workload(length=128), "length comes from the image: 197 tokens"),
            (replace(BERT, head_class=""), Workload(head=True), "its class has no head"),
            (
                replace(BERT, inputs=("input_features",)),
                Workload(),
                "needs input_features, which cannot be made up here",
            ),
            (
                replace(GPT2, model_type="openai-gpt"),
                DECODE,
                "its class keeps no cache: every token would compute the whole text again",
            ),
            (
                replace(GPT2, model_type="rwkv"),
                replace(DECODE, batch=2),
                "its class mixes up the texts of a batch while it decodes; batch 1 runs",
            ),
            (
                GPT2,
                replace(DECODE, batch=2, lengths=(5, 6, 7), batching="padded"),
                "decodes one batch: 3 texts in batches of 2",
            ),
            (
                replace(GPT2, model_type="reformer"),
                replace(DECODE, batch=2, lengths=(5, 6), batching="padded"),
                "its class cannot go on from prompts of unequal length",
            ),
        ],
    )
    def test_are_told_from_the_configuration_alone(self, anatomy, workload, reason):
        assert obstacle(model_with(anatomy), workload) == reason

    def test_an_attention_that_the_class_does_not_have(self):
        assert obstacle(model_with(BERT), Workload(), attention="flex") == (
            "its class has no flex attention, only eager, sdpa"
        )
        assert obstacle(model_with(BERT), Workload(), attention="sdpa") is None

    @pytest.mark.parametrize(
        ("anatomy", "said"),
        [
            (T5, "for t5"),
            (replace(BERT, model_type="new"), "not shown"),
            (replace(BERT, model_type="fnet", attention=()), "no attention"),
            (replace(BERT, model_type="mamba", attention=(replace(FULL, span="recurrent"),)), "recurrent"),
        ],
    )
    def test_packed_texts_must_not_mix(self, anatomy, said):
        assert said in obstacle(model_with(anatomy), Workload(batching="packed"))

    def test_packed_texts_are_only_shown_for_some_types(self):
        assert obstacle(model_with(BERT), Workload(batching="packed")) is None
        assert "caches" in obstacle(model_with(GPT2), replace(DECODE, batching="packed"))
