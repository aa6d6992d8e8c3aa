"""Dense networks to and from the files of the Llama family: `config.json` and `model.safetensors`.

Names and layout are those of `LlamaForCausalLM` of the library transformers, which is not needed here. The
halves of a head turn as pairs there as in `blocks.rotary`; the stacked model turns neighbours, so the rows of
its queries and keys are put in the other order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scalescope.cost import Shape
from scalescope.cost.configs import read_shape
from scalescope.errors import InputError, MissingExtraError
from scalescope.points import read_json, write_json
from scalescope.points.files import replacing
from scalescope.training.blocks.block import EPSILON
from scalescope.training.blocks.rotary import BASE
from scalescope.training.building import Model
from scalescope.training.network import Network
from scalescope.training.stacked.transformer import StackedTransformer
from scalescope.training.weights import put_weights, weights_of

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_LAYER = {
    "mixer_norm": "input_layernorm",
    "mixer.query": "self_attn.q_proj",
    "mixer.key": "self_attn.k_proj",
    "mixer.value": "self_attn.v_proj",
    "mixer.out": "self_attn.o_proj",
    "feed_norm": "post_attention_layernorm",
    "feed.gate": "mlp.gate_proj",
    "feed.up": "mlp.up_proj",
    "feed.down": "mlp.down_proj",
}
_ENDS = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}


def export_llama(model: Model, folder: Path) -> None:
    """Write a model so that any tool of the Llama family loads it.

    Raises
    ------
    InputError
        If the shape has parts that Llama has not.
    WorkError
        If the operating system refuses.
    """
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    shape = model.shape
    other = next((name for name in _parts(shape) if _parts(shape)[name] != _parts(_plain(shape))[name]), None)
    if other is not None:
        raise InputError(
            f"{other} of this shape is none of Llama's: no file for it can be written",
            hint="Keep the weights of the trial instead.",
        )
    weights = _unstack(model) if isinstance(model, StackedTransformer) else weights_of(model)
    names = _names(shape)
    tensors = {names[name]: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as part:
        save_file(tensors, part, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(shape, next(iter(tensors.values())).dtype))


def import_llama(folder: Path) -> Network:
    """Read a dense model of the Llama family from one file of weights, in single precision.

    Raises
    ------
    InputError
        If it is another model or another file than `Network` computes.
    """
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    config = read_json(folder / CONFIG)
    _check(config, folder)
    shape = read_shape(config)
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"there is no {path}", hint="Only models in one safetensors file are read.")
    found = load_file(path)
    names = _names(shape)
    model = Network(shape)
    theirs = {other: name for name, other in names.items()}
    put_weights(model, {theirs.get(name, name): tensor for name, tensor in found.items()}, str(path))
    return model


def _plain(shape: Shape) -> Shape:
    """Return the Llama of the same sizes."""
    return Shape(
        width=shape.width,
        n_layers=shape.n_layers,
        n_heads=shape.n_heads,
        n_kv_heads=shape.n_kv_heads,
        feed_forward=shape.feed_forward,
        vocabulary=shape.vocabulary,
        context=shape.context,
        tied=shape.tied,
        own_head_size=shape.own_head_size,
    )


def _parts(shape: Shape) -> dict[str, Any]:
    """Return every field, a pattern as the layers that it means."""
    parts = {name: getattr(shape, name) for name in Shape.__dataclass_fields__}
    return parts | {"pattern": shape.mixers}


def _names(shape: Shape) -> dict[str, str]:
    """Return the names of `Network` and of Llama."""
    names = {
        f"blocks.{layer}.{ours}.weight": f"model.layers.{layer}.{theirs}.weight"
        for layer in range(shape.n_layers)
        for ours, theirs in _LAYER.items()
    }
    ends = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in _ENDS.items()}
    return names | ends


def _config(shape: Shape, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": shape.tied,
        "rms_norm_eps": EPSILON,
        "rope_theta": BASE,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def _check(config: dict[str, Any], folder: Path) -> None:
    """Refuse what `Network` does not compute and `read_shape` does not look at."""
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", BASE)}
    wanted = {
        "model_type": (config.get("model_type"), "llama"),
        "rope_theta": (rope.get("rope_theta", BASE), BASE),
        "rope_type": (rope.get("rope_type", "default"), "default"),
        "rope_scaling": (config.get("rope_scaling"), None),
        "rms_norm_eps": (config.get("rms_norm_eps", EPSILON), EPSILON),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
    }
    for name, (found, ours) in wanted.items():
        if found != ours:
            raise InputError(
                f"{folder / CONFIG} has {name} {json.dumps(found)}; only {json.dumps(ours)} is computed here",
                hint="Models with other settings cannot be continued.",
            )


def _unstack(model: StackedTransformer) -> dict[str, Tensor]:
    """Return the weights of a stacked model under the names of `Network`."""
    shape = model.shape
    size, kv_heads = shape.head_size, shape.n_kv_heads
    halves = torch.cat((torch.arange(0, size, 2), torch.arange(1, size, 2)))
    weights = {"embedding.weight": model.embedding, "norm.weight": model.norms[-1]}
    if not shape.tied:
        weights["head.weight"] = model.head
    for layer in range(shape.n_layers):
        heads = model.qkv[layer].mT.view(-1, size, shape.width)
        query, key, value = torch.split(heads, [shape.n_heads, kv_heads, kv_heads])
        own = {
            "mixer_norm": model.norms[2 * layer],
            "mixer.query": query[:, halves].flatten(0, 1),
            "mixer.key": key[:, halves].flatten(0, 1),
            "mixer.value": value.flatten(0, 1),
            "mixer.out": model.attention_out[layer],
            "feed_norm": model.norms[2 * layer + 1],
            "feed.gate": model.gate_up[layer, 0].mT,
            "feed.up": model.gate_up[layer, 1].mT,
            "feed.down": model.down[layer],
        }
        weights |= {f"blocks.{layer}.{name}.weight": weight for name, weight in own.items()}
    return {name: weight.detach() for name, weight in weights.items()}
