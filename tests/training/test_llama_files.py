"""Files of the Llama family: what transformers loads computes the same, and comes back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("safetensors", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.llama_files import export_llama, import_llama  # noqa: E402
from scalescope.training.network import Network  # noqa: E402
from scalescope.training.stacked.transformer import StackedTransformer  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=24, n_layers=2, n_heads=4, n_kv_heads=2, feed_forward=40, vocabulary=50, context=16)
MODELS = {
    "network": (Network, SHAPE),
    "tied": (Network, replace(SHAPE, tied=True)),
    "own head size": (Network, replace(SHAPE, own_head_size=8)),
    "stacked": (StackedTransformer, SHAPE),
    "tied stacked": (StackedTransformer, replace(SHAPE, tied=True)),
}


def make(name):
    """A model away from its start, whose zeros would hide mistakes."""
    kind, shape = MODELS[name]
    torch.manual_seed(0)
    model = kind(shape)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.3 * torch.randn_like(param))
    return model


TOKENS = torch.arange(48).view(3, 16)


@pytest.mark.parametrize("name", MODELS)
def test_transformers_computes_the_same_logits(name, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the extra bench")
    model = make(name)
    export_llama(model, tmp_path)
    peer = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(peer(TOKENS).logits, model(TOKENS), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back(name, tmp_path):
    model = make(name)
    export_llama(model, tmp_path)
    again = import_llama(tmp_path)
    assert replace(again.shape, own_head_size=None) == replace(model.shape, own_head_size=None)
    with torch.no_grad():
        torch.testing.assert_close(again(TOKENS), model(TOKENS), atol=1e-5, rtol=1e-5)


def test_a_file_that_transformers_wrote_is_read(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the extra bench")
    config = transformers.LlamaConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=50,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    peer = transformers.LlamaForCausalLM(config)
    peer.save_pretrained(tmp_path)
    model = import_llama(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(model(TOKENS), peer(TOKENS).logits, atol=1e-5, rtol=1e-5)


def test_parts_that_llama_has_not_are_named(tmp_path):
    with pytest.raises(InputError, match="head_norms of this shape is none of Llama's"):
        export_llama(Network(replace(SHAPE, head_norms=True)), tmp_path)
    export_llama(Network(replace(SHAPE, pattern=("full",))), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("rope_theta", 5e5), ("rms_norm_eps", 1e-5), ("rope_scaling", {"factor": 2})]
)
def test_settings_that_are_not_computed_are_refused(name, value, tmp_path):
    export_llama(make("network"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {name: value}))
    with pytest.raises(InputError, match=f"has {name} "):
        import_llama(tmp_path)


def test_a_layer_that_is_missing_is_named(tmp_path):
    export_llama(make("network"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"model\.safetensors has no blocks\.2\.feed\.down\.weight"):
        import_llama(tmp_path)
