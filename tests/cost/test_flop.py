"""FLOP per token under the conventions that publications use."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_parameters import PUBLISHED, gpt2

from scalescope.cost import (
    CONVENTIONS,
    LatentAttention,
    Patches,
    Shape,
    StateSpace,
    convert_utilisation,
    flop_per_token,
)
from scalescope.errors import InputError

LLAMA_3_8B = Shape(
    width=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=8,
    feed_forward=14336,
    vocabulary=128256,
    context=8192,
)
TABLES = Path(__file__).parents[2] / "../shared/plan/data"


def rows(name):
    path = TABLES / name
    if not path.is_file():
        pytest.skip("the published tables are not here")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("convention", "giga"), [("6n", 48.2), ("causal", 51.5), ("full", 57.9)])
def test_llama_3_8b_takes_what_its_conventions_say(convention, giga):
    assert flop_per_token(LLAMA_3_8B, convention) == pytest.approx(giga * 1e9, rel=1e-3)


def test_the_recomputing_convention_is_megatrons_formula():
    # 96 B s L d^2 (1 + s/6d + V/16Ld), Narayanan et al. 2021, without biases and norms
    shape = gpt2(12288, 96, 96, vocabulary=51200, n_positions=2048)
    d, s, layers, v = 12288, 2048, 96, 51200
    formula = 96 * layers * d**2 * (1 + s / (6 * d) + v / (16 * layers * d))
    assert flop_per_token(shape, "hardware-full") == pytest.approx(formula, rel=1e-12)


def test_the_selective_convention_is_that_of_korthikanti():
    # 72 B s L d^2 (1 + s/3d + V/12Ld), https://arxiv.org/abs/2205.05198
    shape = gpt2(12288, 96, 96, vocabulary=51200, n_positions=2048)
    d, s, layers, v = 12288, 2048, 96, 51200
    formula = 72 * layers * d**2 * (1 + s / (3 * d) + v / (12 * layers * d))
    assert flop_per_token(shape, "hardware-selective") == pytest.approx(formula, rel=1e-12)


@given(st.sampled_from(sorted(PUBLISHED)), st.integers(16, 100_000))
def test_more_is_counted_the_more_a_convention_counts(name, context):
    shape = PUBLISHED[name][0]
    found = {key: flop_per_token(shape, key, context) for key in CONVENTIONS}
    assert found["6n-nonembedding"] < found["6n"] < found["palm"]
    assert found["causal"] < found["full"] < found["hardware-full"]
    assert found["palm-nonembedding"] <= found["palm"]


def test_a_window_stops_the_growth_with_context():
    narrow = replace(LLAMA_3_8B, window=1024)
    growth = [flop_per_token(narrow, "full", context) for context in (1024, 4096, 65536)]
    assert growth[0] == growth[1] == growth[2]
    assert flop_per_token(narrow, "causal", 1024) == flop_per_token(LLAMA_3_8B, "causal", 1024)
    assert flop_per_token(narrow, "causal", 65536) > flop_per_token(narrow, "causal", 1024)


def test_layers_of_a_pattern_count_each_their_own_pairs():
    narrow = replace(LLAMA_3_8B, window=1024)
    mixed = replace(narrow, pattern=("window", "full"))
    for convention in ("causal", "full"):
        both = [flop_per_token(one, convention, 8192) for one in (narrow, LLAMA_3_8B)]
        assert flop_per_token(mixed, convention, 8192) == pytest.approx(sum(both) / 2)


def test_an_encoder_computes_all_pairs_whatever_the_convention():
    encoder = replace(LLAMA_3_8B, causal=False)
    assert flop_per_token(encoder, "causal") == flop_per_token(encoder, "full")
    assert flop_per_token(encoder, "full") == flop_per_token(LLAMA_3_8B, "full")


def test_the_head_of_images_is_met_once_an_image():
    plain = {"width": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "feed_forward": 96, "context": 16}
    shape = Shape(**plain, vocabulary=100, causal=False, patches=Patches(side=32, patch=8))
    blocks = replace(shape, vocabulary=1)
    assert flop_per_token(shape) - flop_per_token(blocks) == 6 * 99 * 64 / 16
    wider = replace(shape, patches=Patches(side=32, patch=8, channels=3))
    assert flop_per_token(wider) - flop_per_token(shape) == 6 * 2 * 64 * 64


def test_a_state_space_costs_the_same_at_any_context_beyond_its_chunk():
    shape = PUBLISHED["mamba2-130m"][0]
    assert shape.state_space == StateSpace()
    assert flop_per_token(shape, "causal", 256) == flop_per_token(shape, "causal", 1e6)


def test_a_utilisation_keeps_its_meaning_there_and_back():
    there = convert_utilisation(0.41, LLAMA_3_8B, given="6n", wanted="full")
    assert there == pytest.approx(0.41 * 57.9 / 48.2, rel=2e-3)
    assert convert_utilisation(there, LLAMA_3_8B, given="full", wanted="6n") == pytest.approx(0.41)


@pytest.mark.parametrize("context", [0, -1, float("nan")])
def test_a_context_that_cannot_be_is_refused(context):
    with pytest.raises(InputError, match="context must be positive"):
        flop_per_token(LLAMA_3_8B, "full", context)


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(InputError, match="no convention") as caught:
        flop_per_token(LLAMA_3_8B, "hardware")  # type: ignore[arg-type]
    assert "hardware-full" in caught.value.hint


@pytest.mark.shared
def test_the_utilisations_of_llm_foundry_come_out():
    peaks = {("a100", "bf16"): 312e12, ("h100", "bf16"): 989.4e12, ("h100", "fp8"): 1979e12}
    worst = 0.0
    table = rows("llmfoundry_mpt_throughput.csv")
    for row in table:
        context = int(row["seq_len"])
        shape = gpt2(
            int(row["d_model"]),
            int(row["n_layers"]),
            int(row["n_heads"]),
            vocabulary=int(row["vocab"]),
            n_positions=context,
        )
        assert shape.params == int(row["n_params"])
        kind = "fp8" if "fp8" in row["precision"] else "bf16"
        peak = peaks[row["gpu"][:4], kind]
        # tokens of one device are printed as whole numbers, too coarse for the slowest
        flop = flop_per_token(shape, "palm") * float(row["tokens_per_s"]) / int(row["n_gpus"])
        worst = max(worst, abs(100 * flop / peak / float(row["mfu_pct"]) - 1))
    assert len(table) == 216
    assert worst < 0.0005


@pytest.mark.shared
def test_the_days_of_megatrons_second_table_come_out():
    off = []
    for row in rows("megatron_sc21_table2_zero3_vs_ptd.csv"):
        shape = gpt2(
            int(row["d_model"]),
            int(row["n_layers"]),
            int(row["n_heads"]),
            vocabulary=51200,
            n_positions=2048,
        )
        flop = 300e9 * flop_per_token(shape, "hardware-full")
        rate = int(row["n_gpus"]) * float(row["achieved_tflops_per_gpu_HARDWARE"]) * 1e12
        days, printed = flop / rate / 86400, float(row["reported_days_300B_tokens"])
        assert days == pytest.approx(printed, abs=1)  # whole days are printed, some cut and not rounded
        if abs(days / printed - 1) > 0.01:
            off.append((row["scheme"], row["n_gpus"], printed))
    assert off == [("PTD", "768", 43.0)]  # 43.5 days


def counted(model, context):
    """FLOP per token of one training step as torch counts them, on tensors without memory."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros(1, context, dtype=torch.long, device="meta")
    mask = torch.zeros(1, 1, context, context, device="meta")  # made beforehand: making it looks at values
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=mask, use_cache=False).logits.sum().backward()
    return counter.get_total_flops() / context


@pytest.mark.parametrize("kind", ["gpt2", "llama", "deepseek"])
def test_the_full_convention_is_what_torch_counts(kind):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    context = 48
    if kind == "gpt2":
        shape = gpt2(96, 3, 4, vocabulary=331, n_positions=context)
        config = transformers.GPT2Config(n_embd=96, n_layer=3, n_head=4, vocab_size=331, n_positions=context)
        make = transformers.GPT2LMHeadModel
    else:
        latent = LatentAttention(key_value_rank=24, query_rank=40, nope=16, rotary=8, value=20)
        shape = Shape(
            width=96,
            n_layers=3,
            n_heads=6,
            n_kv_heads=6 if kind == "deepseek" else 2,
            feed_forward=200,
            vocabulary=331,
            context=context,
            latent=latent if kind == "deepseek" else None,
        )
        plain = {
            "hidden_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 6,
            "num_key_value_heads": shape.n_kv_heads,
            "intermediate_size": 200,
            "vocab_size": 331,
            "tie_word_embeddings": False,
        }
        if kind == "llama":
            config, make = transformers.LlamaConfig(**plain), transformers.LlamaForCausalLM
        else:
            config = transformers.DeepseekV3Config(
                **plain,
                q_lora_rank=40,
                kv_lora_rank=24,
                qk_nope_head_dim=16,
                qk_rope_head_dim=8,
                v_head_dim=20,
                first_k_dense_replace=3,
            )
            make = transformers.DeepseekV3ForCausalLM
    config._attn_implementation = "eager"
    with torch.device("meta"):
        model = make(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == shape.params
    assert flop_per_token(shape, "full") == counted(model, context)
