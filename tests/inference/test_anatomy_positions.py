"""Hard limits of an anatomy against models that really run up to them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

import torch
import transformers
from small_configs import SMALL

from scalescope.inference.anatomy import anatomy_of
from scalescope.inference.anatomy_building import build

LONG = 100
SHORT: dict[str, dict[str, Any]] = {
    **{
        kind: {"max_position_embeddings": 48}
        for kind in ("albert", "bert", "biogpt", "distilbert", "electra", "fnet")
    },
    **{
        kind: {"max_position_embeddings": 48}
        for kind in ("bart", "blenderbot", "mobilebert", "opt", "pegasus")
    },
    **{kind: {"max_position_embeddings": 48} for kind in ("camembert", "mpnet", "roberta", "squeezebert")},
    **{
        kind: {"max_position_embeddings": 48}
        for kind in ("gpt_neo", "nystromformer", "xlm-roberta", "big_bird")
    },
    **{kind: {"n_positions": 48} for kind in ("gpt2", "gptj", "openai-gpt")},
    "longformer": {"max_position_embeddings": 66},
    "led": {"max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64},
    "reformer": {"axial_pos_shape": [2, 32], "max_position_embeddings": 64},
}
"""Types that end somewhere, made to end early."""
ENDLESS: dict[str, dict[str, Any]] = {
    "bloom": {},
    "deberta": {"max_position_embeddings": 48},
    "deberta-v2": {"max_position_embeddings": 48},
    "esm": {"max_position_embeddings": 48},
    "gpt_neox": {"max_position_embeddings": 48},
    "llama": {"max_position_embeddings": 48},
    "mamba": {},
    "modernbert": {"max_position_embeddings": 48},
    "t5": {},
    "xglm": {"max_position_embeddings": 48},
    "xlnet": {},
}
"""Types that run past their training length."""


def run(model_type: str, config: dict[str, Any], length: int, *, written: int | None = None) -> None:
    """Call a small instance once."""
    built = build(model_type, config)
    anatomy = anatomy_of(model_type, {}, built=built)
    torch.manual_seed(0)
    module = getattr(transformers, anatomy.bare_class)(built.config).eval()
    calls = {"input_ids": torch.randint(3, 300, (1, length))}
    if "decoder_input_ids" in anatomy.inputs:
        calls["decoder_input_ids"] = torch.randint(3, 300, (1, written or length))
    with torch.no_grad():
        module(**calls)


@pytest.mark.parametrize("model_type", sorted(SHORT))
def test_a_text_of_the_limit_runs_and_one_token_more_does_not(model_type):
    config = {**SMALL[model_type], **SHORT[model_type]}
    limit = anatomy_of(model_type, config).positions.limit
    assert limit is not None
    assert limit < LONG
    run(model_type, config, limit)
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        run(model_type, config, limit + 1)


@pytest.mark.parametrize("model_type", sorted(ENDLESS))
def test_what_has_no_limit_runs_past_its_training_length(model_type):
    config = {**SMALL[model_type], **ENDLESS[model_type]}
    assert anatomy_of(model_type, config).positions.limit is None
    run(model_type, config, LONG)


def test_a_prophetnet_reads_any_length_but_writes_only_to_its_table():
    config = {**SMALL["prophetnet"], "max_position_embeddings": 48}
    positions = anatomy_of("prophetnet", config).positions
    assert positions.limit is None
    run("prophetnet", config, LONG, written=positions.decoder_limit)
    with pytest.raises(IndexError):
        run("prophetnet", config, LONG, written=positions.decoder_limit + 1)


def test_the_first_two_rows_of_a_roberta_table_are_not_for_tokens():
    assert anatomy_of("roberta", {"max_position_embeddings": 514}).positions.limit == 512


def test_the_two_sides_of_an_led_end_at_different_lengths():
    positions = anatomy_of("led", SMALL["led"]).positions
    assert (positions.limit, positions.decoder_limit, positions.multiple_of) == (512, 256, 64)


@pytest.mark.parametrize(
    ("model_type", "needed"),
    [
        ("bart", ("input_ids",)),
        ("t5", ("input_ids", "decoder_input_ids")),
        ("vit", ("pixel_values",)),
        ("clip", ("input_ids", "pixel_values")),
    ],
)
def test_inputs_are_those_without_which_a_call_fails(model_type, needed):
    built = build(model_type, SMALL[model_type])
    anatomy = anatomy_of(model_type, {}, built=built)
    assert anatomy.inputs == needed
    module = getattr(transformers, anatomy.bare_class)(built.config).eval()
    calls = {
        "input_ids": torch.randint(3, 300, (1, 16)),
        "decoder_input_ids": torch.randint(3, 300, (1, 16)),
        "pixel_values": torch.randn(1, 3, 64, 64),
    }
    with torch.no_grad():
        module(**{name: calls[name] for name in needed})
        for name in needed:
            with pytest.raises((ValueError, TypeError, AttributeError)):
                module(**{other: calls[other] for other in needed if other != name})
