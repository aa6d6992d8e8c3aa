"""Anatomy of any architecture that `transformers` has: read off its modules on the meta device.

Nothing is allocated and nothing is downloaded. What is known afterwards: how many parameters there are, which
matrices a token meets, how attention looks around, how long a text may be.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scalescope.cost import Anatomy
from scalescope.errors import InputError
from scalescope.inference.anatomy_attention import attention_of, feed_forward_of, layers_of
from scalescope.inference.anatomy_building import Built, build, generates, one_line
from scalescope.inference.anatomy_matrices import flop_per_call, groups_of, launches_of, matrices_of
from scalescope.inference.anatomy_positions import image_tokens_of, positions_of

if TYPE_CHECKING:
    from torch.nn import Module

_COUNTED = """
    albert bamba bart bert big_bird bigbird_pegasus biogpt blenderbot bloom camembert clip deberta
    deberta-v2 deepseek_v2 deepseek_v3 dinov2 distilbert electra esm falcon falcon_h1 falcon_mamba fnet
    gemma gemma2 gemma3_text gpt2 gpt_neo gpt_neox gpt_oss gptj granitemoe jamba led lfm2 llama
    longformer longt5 mamba mamba2 minicpm3 minimax mistral mixtral mobilebert modernbert mpnet
    nystromformer olmo olmo2 olmoe openai-gpt opt pegasus phi phi3 prophetnet qwen2 qwen2_moe qwen3
    qwen3_moe qwen3_next recurrent_gemma reformer roberta rwkv siglip smollm3 squeezebert stablelm
    switch_transformers t5 vit xglm xlm-roberta xlnet xlstm
"""
COUNTED = frozenset(_COUNTED.split())
"""Model types whose FLOP were compared with torch's own counter on a small instance; a test does it again."""

WITHOUT_EFFECT = re.compile(
    r"^_|architectures|version|dtype|label|problem_type|(?<!per)_token(_id|s)?$|token_ids?$|drop(out)?|pdrop"
    r"|initializer|init_|_init|use_cache|^output_|return_|task_specific|tokenizer|summary_|name_or_path|loss"
    r"|classifier|chunk_size_feed|gradient|scale_embedding|forced_|finetuning|prefix|begin_suppress|license|_id$"
)
"""Settings that change neither shape nor speed of a call."""


def anatomy_of(model_type: str, config: Mapping[str, Any], *, built: Built | None = None) -> Anatomy:
    """Read the anatomy of an architecture.

    Parameters
    ----------
    model_type
        Name of the configuration in `transformers`, such as `bert`.
    config
        Keyword arguments of the configuration class; what is not named has its default.
    built
        Modules of the same configuration, if they are there already.

    Returns
    -------
    Anatomy
        Matrices with how often a token meets them, attention by span, positions, inputs.

    Raises
    ------
    InputError
        If the type is unknown (nearest names are in the hint) or the values make no model.
    MissingExtraError
        If transformers is not installed.
    """
    one = built or build(model_type, config)
    try:
        return _read(model_type, one)
    except Exception as error:  # configurations of other kinds raise whatever they like
        raise InputError(
            f"{model_type} is not a kind of model that is understood here: {one_line(error)}",
            hint="Models of text, of images in patches, and of both are.",
        ) from error


def _read(model_type: str, one: Built) -> Anatomy:
    made, bare, head = one.config, one.bare, one.head
    two_sided = bool(getattr(made, "is_encoder_decoder", False))
    causal = generates(made)
    image_tokens = image_tokens_of(bare, made)
    return Anatomy(
        model_type=model_type,
        bare_class=type(bare).__name__,
        head_class=type(head).__name__ if head is not None else "",
        params=params_of(bare),
        params_with_head=params_of(head if head is not None else bare),
        groups=groups_of(bare),
        hidden=int(made.get_text_config().hidden_size),
        n_layers=layers_of(made),
        feed_forward=feed_forward_of(made),
        vocabulary=_width_of_logits(head, made),
        matrices=matrices_of(bare, head, made),
        attention=attention_of(made, causal=causal),
        positions=positions_of(bare, made),
        encoder_decoder=two_sided,
        causal=causal,
        inputs=inputs_of(bare, made, image_tokens=image_tokens),
        image_tokens=image_tokens,
        flop_per_call=flop_per_call(bare, made),
        launches=launches_of(bare, made),
        attention_kinds=attention_kinds(bare),
    )


def params_of(module: Module) -> int:
    """Count the parameters, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def inputs_of(bare: Module, config: Any, *, image_tokens: int = 0) -> tuple[str, ...]:
    """Name the inputs without which a call fails."""
    if getattr(bare, "main_input_name", "input_ids") == "pixel_values" and not hasattr(config, "text_config"):
        return ("pixel_values",)
    names = ["input_ids"]
    if image_tokens:
        names.append("pixel_values")
    if getattr(config, "is_encoder_decoder", False) and not _shifts(bare):
        names.append("decoder_input_ids")
    return tuple(names)


def attention_kinds(bare: Module) -> tuple[str, ...]:
    """Name the attention implementations that a class offers."""
    kinds = ["eager"]
    if getattr(bare, "_supports_sdpa", False):
        kinds.append("sdpa")
    if getattr(bare, "_supports_flex_attn", False):
        kinds.append("flex")
    return tuple(kinds)


def digest_of(built: Built, anatomy: Anatomy) -> str:
    """Name an architecture by its classes and by every setting that could change shape or speed.

    Models with the same digest run alike: measuring one is measuring all.
    """
    said = {
        "model_type": anatomy.model_type,
        "classes": [anatomy.bare_class, anatomy.head_class],
        "config": _with_effect(built.config.to_dict()),
        "params": [anatomy.params, anatomy.params_with_head],
        "positions": [anatomy.positions.kind, anatomy.positions.limit],
    }
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _with_effect(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _with_effect(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not WITHOUT_EFFECT.search(str(key))
    }


def _shifts(bare: Module) -> bool:
    """Whether the bare model makes decoder inputs of its own, as BART does."""
    return "shift_tokens_right(" in inspect.getsource(type(bare).forward)


def _width_of_logits(head: Module | None, config: Any) -> int:
    if head is None:
        return 0
    return int(getattr(config.get_text_config(), "vocab_size", None) or config.num_labels)
