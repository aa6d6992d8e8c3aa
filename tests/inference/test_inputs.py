"""Made-up inputs have the shapes, types and values that the classes ask for."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scalescope.cost.batching import Batch
from scalescope.errors import InputError
from scalescope.inference.inputs import InputMaker, parameters_of, position_start, special_ids

torch = pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

from call_examples import model_of, module_of  # noqa: E402

pytestmark = pytest.mark.torch

PAIR = Batch(lengths=(6, 4))


def maker_of(name, *, module=None, seed=0):
    return InputMaker(module or module_of(name), model_of(name).anatomy, seed=seed)


def test_the_same_seed_gives_the_same_ids():
    first, again, other = (
        maker_of("bert", seed=seed).inputs(Batch(lengths=(40,)), "encode")["input_ids"] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_ids_stay_within_the_vocabulary_and_have_no_special_meaning():
    ids = maker_of("esm").ids(50, 40)
    assert ids.min() >= 0
    assert ids.max() < 32
    assert not (ids == 1).any(), "1 is padding"
    assert len(ids.unique()) > 20


def test_special_ids_are_found_in_inner_configurations():
    config = {
        "text_config": {"pad_token_id": 1, "eos_token_id": [2, 3]},
        "image_token_index": 4,
        "id2label": {0: "a"},
        "vocab_size": 9,
        "use_token_id": True,
        "sep_token_id": None,
    }
    assert sorted(special_ids(config)) == [1, 2, 3, 4]


def test_texts_of_one_length_get_no_mask():
    made = maker_of("bert").inputs(Batch(lengths=(6, 6)), "encode")
    assert set(made) == {"input_ids"}


def test_encoders_are_padded_behind_the_text():
    made = maker_of("bert").inputs(PAIR, "encode")
    assert made["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert made["input_ids"][1, 4:].tolist() == [0, 0]


def test_decoders_are_padded_before_the_text():
    made = maker_of("gpt2").inputs(PAIR, "prefill")
    assert made["attention_mask"].tolist() == [[1] * 6, [0, 0, 1, 1, 1, 1]]
    assert made["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 3]]


def test_packed_texts_start_anew():
    made = maker_of("gpt2").inputs(replace(PAIR, packed=True), "prefill")
    assert made["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3]]
    assert "attention_mask" not in made


def test_packed_texts_of_an_encoder_do_not_see_each_other():
    made = maker_of("roberta").inputs(Batch(lengths=(2, 1), packed=True), "encode")
    assert (made["attention_mask"][0, 0] == 0).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    assert made["position_ids"].tolist() == [[2, 3, 2]]


def test_positions_start_past_the_padding_row_of_roberta_only():
    assert position_start(module_of("roberta")) == 2
    assert position_start(module_of("bert")) == 0
    assert position_start(module_of("distilbert")) == 0


def test_the_decoders_side_starts_with_its_start_token():
    one = maker_of("t5").inputs(Batch(lengths=(6, 6)), "encode")["decoder_input_ids"]
    assert one.shape == (2, 6)
    assert one[:, 0].tolist() == [0, 0]
    assert maker_of("t5").inputs(Batch(lengths=(6, 6)), "decode")["decoder_input_ids"].tolist() == [[0], [0]]


def test_images_have_the_size_and_type_of_the_model():
    module = module_of("vit")
    assert maker_of("vit").inputs(Batch(lengths=(5, 5)), "encode")["pixel_values"].shape == (2, 3, 16, 16)
    half = copy.deepcopy(module).to(torch.bfloat16)
    made = maker_of("vit", module=half).inputs(Batch(lengths=(5,)), "encode")
    assert made["pixel_values"].dtype == torch.bfloat16


def test_boxes_are_ordered_corners_within_the_page():
    boxes = maker_of("layoutlm").inputs(Batch(lengths=(30, 30)), "encode")["bbox"]
    assert boxes.shape == (2, 30, 4)
    assert boxes.min() >= 0
    assert boxes.max() <= 1000
    assert (boxes[..., 0] <= boxes[..., 2]).all()
    assert (boxes[..., 1] <= boxes[..., 3]).all()


def test_an_input_that_cannot_be_made_up_is_refused():
    anatomy = replace(model_of("bert").anatomy, inputs=("input_ids", "input_features"))
    with pytest.raises(InputError, match="needs input_features"):
        InputMaker(module_of("bert"), anatomy).inputs(PAIR, "encode")


def test_a_compiled_module_is_looked_through():
    module = module_of("bert")
    assert parameters_of(SimpleNamespace(_orig_mod=module)) == parameters_of(module)
