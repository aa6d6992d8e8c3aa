"""Settings by name, as the command line gives them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from scalescope.errors import InputError
from scalescope.studies.family import make_shape
from scalescope.training.levers import LEVERS, Variant, apply_lever
from scalescope.training.recipe import Recipe
from scalescope.training.shape_options import ShapeOptions

SHAPE = make_shape(64, 3, 257, 128)


def test_every_field_of_the_recipe_is_a_lever():
    assert {one.name for one in fields(Recipe)} - set(LEVERS) == {"rates"}
    assert {name for name in LEVERS if name.startswith("rates.")} >= {"rates.matrix", "rates.head"}


@pytest.mark.parametrize("name", sorted(set(LEVERS) - {"data"}))
def test_every_example_of_a_lever_can_be_applied(name):
    found = [apply_lever(name, text, Variant()) for text in LEVERS[name].example.split(",")]
    assert any(variant != Variant() for variant in found)


def test_levers_reach_recipe_shape_precision_and_data():
    variant = Variant()
    for name, text in (("optimizer", "lion"), ("clip", "off"), ("qk_norm", "on"), ("precision", "bf16")):
        variant = apply_lever(name, text, variant)
    variant = apply_lever("data", "some/corpus", variant)
    assert (variant.recipe.optimizer, variant.recipe.clip) == ("lion", 0)
    assert (variant.shape.qk_norm, variant.precision, variant.data) == (True, "bf16", "some/corpus")


def test_one_rate_can_be_set_and_the_others_stay_those_of_the_optimiser():
    variant = apply_lever("rates.head", "0.5", apply_lever("optimizer", "adamw", Variant()))
    assert variant.recipe.peaks.head == 0.5
    assert variant.recipe.peaks.matrix == Recipe(optimizer="adamw").peaks.matrix


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("optimiser", "lion", "no setting is called 'optimiser'", "Did you mean optimizer?"),
        ("optimizer", "lions", "optimizer: cannot use 'lions'", "Did you mean lion?"),
        ("clip", "much", "clip: cannot use 'much'", "Give a number"),
        ("clip", "-1", "clip must not be negative", "Give 0 for none"),
        ("floor", "2", "floor must lie in 0 to 1", ""),
        ("attention", "windw+full", "no mixer is called 'windw'", "Did you mean window?"),
        ("experts", "2x8", "a token to 8 of 2 experts", "at most all"),
        ("experts", "eight", "cannot read 'eight'", "8x2"),
        ("depth", "0", "depth: must be above 0", ""),
        ("qk_norm", "maybe", "qk_norm: cannot use 'maybe'", "on or off"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_would_do(name, text, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        apply_lever(name, text, Variant())
    assert hint in caught.value.hint


def test_the_default_options_change_no_shape():
    assert ShapeOptions().apply(SHAPE) == SHAPE
    assert apply_lever("attention", "full", Variant()).shape.apply(SHAPE) == SHAPE


@pytest.mark.parametrize("text", ["8x2", "16x2+1", "4x1"])
def test_experts_keep_the_active_parameters_of_the_dense_shape(text):
    routed = apply_lever("experts", text, Variant()).shape.apply(SHAPE)
    router = routed.n_layers * routed.width * routed.experts.count
    assert routed.params > SHAPE.params
    assert routed.params_active - router == pytest.approx(SHAPE.params, rel=0.01)


def test_a_deeper_shape_keeps_the_size_of_its_blocks():
    deeper = apply_lever("depth", "2", Variant()).shape.apply(SHAPE)
    assert deeper.n_layers == 2 * SHAPE.n_layers
    assert deeper.params_matrices == pytest.approx(SHAPE.params_matrices, rel=0.1)


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_key_value_heads_divide_the_heads(kv_heads):
    wide = make_shape(128, 3, 257, 128)
    shape = apply_lever("kv_heads", str(kv_heads), Variant()).shape.apply(wide)
    assert shape.n_kv_heads == kv_heads < wide.n_heads


@pytest.mark.parametrize("text", ["window+full", "3*mamba2+full", "retention", "gated-delta", "hashed"])
def test_a_pattern_brings_what_its_mixers_need(text):
    shape = apply_lever("attention", text, Variant()).shape.apply(SHAPE)
    assert len(shape.mixers) == SHAPE.n_layers
    assert set(shape.pattern) == {part.split("*")[-1] for part in text.split("+")}
