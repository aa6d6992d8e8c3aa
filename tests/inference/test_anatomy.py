from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

from small_configs import SMALL

from scalescope.errors import InputError
from scalescope.inference.anatomy import anatomy_of, digest_of, params_of
from scalescope.inference.anatomy_building import build


@pytest.mark.parametrize("model_type", sorted(SMALL))
def test_groups_add_up_to_the_parameters(model_type):
    built = build(model_type, SMALL[model_type])
    anatomy = anatomy_of(model_type, {}, built=built)
    assert sum(anatomy.groups.values()) == anatomy.params == params_of(built.bare)
    assert 0 < anatomy.params_active <= anatomy.params


def test_shared_layers_hold_their_parameters_once_and_cost_every_time():
    once = anatomy_of("albert", {**SMALL["albert"], "num_hidden_layers": 1})
    often = anatomy_of("albert", {**SMALL["albert"], "num_hidden_layers": 8})
    assert once.params == often.params == often.params_active
    assert often.flop_per_token > 7 * once.flop_per_token
    assert often.launches > once.launches


def test_a_token_meets_only_the_active_experts():
    anatomy = anatomy_of("mixtral", SMALL["mixtral"])
    experts = [matrix for matrix in anatomy.matrices if matrix.count == 2 * 4]
    assert {matrix.share for matrix in experts} == {2 / 4}
    assert anatomy.params - anatomy.params_active == anatomy.groups["experts"] / 2 - 64 * 4 * 2 / 2


def test_latent_attention_caches_the_latent_and_not_the_heads():
    (layers,) = anatomy_of("deepseek_v3", SMALL["deepseek_v3"]).attention
    assert (layers.cache_width, layers.head_size, layers.value_size) == (32 + 8, 16 + 8, 24)


def test_grouped_heads_are_fewer_than_heads():
    (layers,) = anatomy_of("llama", SMALL["llama"]).attention
    assert (layers.n_heads, layers.n_kv_heads) == (4, 2)


def test_a_mamba_has_a_state_and_no_growing_cache():
    (layers,) = anatomy_of("mamba", SMALL["mamba"]).attention
    assert (layers.span, layers.n_kv_heads, layers.state) == ("recurrent", 0, 128 * 8 + 128 * 4)


def test_a_hybrid_has_layers_of_both_kinds():
    spans = {layers.span: layers.count for layers in anatomy_of("jamba", SMALL["jamba"]).attention}
    assert spans == {"causal": 1, "recurrent": 3}


def test_keys_of_cross_attention_belong_to_the_encoder():
    sides = [matrix.side for matrix in anatomy_of("bart", SMALL["bart"]).matrices]
    assert set(sides) == {"encoder", "decoder", "head"}
    crossed = [layers for layers in anatomy_of("bart", SMALL["bart"]).attention if layers.span == "cross"]
    assert [(layers.side, layers.count) for layers in crossed] == [("decoder", 3)]


@pytest.mark.parametrize(
    ("model_type", "generates"), [("gpt2", True), ("bert", False), ("t5", True), ("xlnet", False)]
)
def test_what_generates_is_told_from_what_reads(model_type, generates):
    assert anatomy_of(model_type, SMALL[model_type]).causal is generates


def test_attention_implementations_are_those_that_the_class_accepts():
    import torch
    import transformers

    for model_type in ("bert", "gpt_neo", "gpt2"):
        built = build(model_type, SMALL[model_type])
        offered = anatomy_of(model_type, {}, built=built).attention_kinds
        for kind, name in (("eager", "eager"), ("sdpa", "sdpa"), ("flex", "flex_attention")):
            with torch.device("meta"):
                model = getattr(transformers, type(built.bare).__name__)
                if kind in offered:
                    model._from_config(built.config, attn_implementation=name)
                else:
                    with pytest.raises(ValueError, match="does not support"):
                        model._from_config(built.config, attn_implementation=name)


def test_the_digest_ignores_what_changes_nothing_and_sees_what_does():
    def digest(**more):
        built = build("bert", {**SMALL["bert"], **more})
        return digest_of(built, anatomy_of("bert", {}, built=built))

    assert digest() == digest(hidden_dropout_prob=0.3, initializer_range=0.5, num_labels=7)
    assert (
        len({digest(), digest(num_attention_heads=2), digest(hidden_act="relu"), digest(vocab_size=99)}) == 4
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"vocab_size": 2**62}, "vocab_size"),
        ({"hidden_size": 65}, "multiple"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_act": "no such"}, "no such"),
    ],
)
def test_values_that_cannot_be_are_one_clear_line(config, said):
    with pytest.raises(InputError, match=said) as caught:
        anatomy_of("bert", {**SMALL["bert"], **config})
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_an_unknown_type_names_the_nearest():
    with pytest.raises(InputError, match="unknown model type") as caught:
        anatomy_of("bertt", {})
    assert "bert" in caught.value.hint


def test_a_type_without_blocks_of_one_width_is_refused():
    with pytest.raises(InputError, match="not a kind of model"):
        anatomy_of("resnet", {})


def test_importing_the_reader_does_not_import_torch():
    code = "import sys, scalescope.inference.anatomy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
