"""Real failures of real models, tiny ones, for cells to meet.  Cells import it by its name."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

SMALL = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
SIDES = {"d_model": 32} | {
    f"{side}_{what}": size
    for side in ("encoder", "decoder")
    for what, size in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
}
CONFIGS: dict[str, JSON] = {
    "bert": SMALL,
    "distilbert": {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
    "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 2},
    "gptj": {"n_embd": 32, "n_layer": 1, "n_head": 2, "rotary_dim": 8},
    "opt": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32}
    | {"word_embed_proj_dim": 32, "vocab_size": 100},
    "clip_text_model": SMALL | {"eos_token_id": 2},
    "t5": {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2},
    "pegasus": SIDES | {"vocab_size": 100},
    "blenderbot": SIDES | {"vocab_size": 100},
    "prophetnet": {"hidden_size": 32, "vocab_size": 100}
    | {
        f"num_{side}_{what}": size
        for side in ("encoder", "decoder")
        for what, size in (("layers", 1), ("attention_heads", 2))
    }
    | {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    "vit": SMALL | {"image_size": 32, "patch_size": 16},
    "deberta": SMALL
    | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16},
    "fnet": {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32},
    "reformer": {"hidden_size": 32, "num_attention_heads": 2, "axial_pos_embds_dim": [16, 16]}
    | {"axial_pos_shape": [4, 4], "attn_layers": ["local"], "feed_forward_size": 32},
}


def call(payload: JSON, emit: Any) -> JSON:
    """Build a model and call it once, as the payload says."""
    import torch
    import transformers

    emit({"phase": "construct"})
    config = transformers.AutoConfig.for_model(payload["type"], **CONFIGS[payload["type"]])
    attention = payload.get("attention", "eager")
    dtype = getattr(torch, payload.get("dtype", "float32"))
    model = transformers.AutoModel.from_config(config, attn_implementation=attention, dtype=dtype).eval()
    emit({"phase": "call"})
    with torch.inference_mode():
        if payload.get("length"):
            model(torch.full((1, payload["length"]), payload.get("token", 3)))
        else:
            model()
    return {}


def allocate(payload: JSON, emit: Any) -> JSON:
    import torch

    torch.zeros(payload["bytes"], dtype=torch.uint8)
    return {}


def unimplemented(payload: JSON, emit: Any) -> JSON:
    import torch

    torch.ones(2, 2, dtype=torch.long).softmax(0)
    return {}


def low_precision(payload: JSON, emit: Any) -> JSON:
    import torch

    torch.linalg.inv(torch.ones(2, 2, dtype=torch.float16))
    return {}


def nonfinite(payload: JSON, emit: Any) -> JSON:
    from scalescope.inference.failures import NonFiniteError

    raise NonFiniteError("NaN in the output")


def own_failure(payload: JSON, emit: Any) -> JSON:
    raise ArithmeticError("a failure that no rule knows")
