"""One tiny model of each kind that loads in its own way, for tests of weights and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalescope.cost import Anatomy
from scalescope.cost.anatomy import Positions
from scalescope.inference.models import Model

WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TEXT = {**WIDTHS, "vocab_size": 99}
IMAGE = {**WIDTHS, "image_size": 32, "patch_size": 8}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99}
SEQ2SEQ = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 99,
}

TINY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertModel", "BertForMaskedLM", TEXT),
    "distilbert": (
        "DistilBertModel",
        "DistilBertForMaskedLM",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99},
    ),
    "roberta": ("RobertaModel", "RobertaForMaskedLM", TEXT),
    "albert": ("AlbertModel", "AlbertForMaskedLM", {**TEXT, "embedding_size": 16}),
    "electra": ("ElectraModel", "ElectraForPreTraining", {**TEXT, "embedding_size": 16}),
    "deberta-v2": (
        "DebertaV2Model",
        "DebertaV2ForMaskedLM",
        {
            **TEXT,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
    "big_bird": ("BigBirdModel", "BigBirdForMaskedLM", {**TEXT, "attention_type": "original_full"}),
    "longformer": ("LongformerModel", "LongformerForMaskedLM", {**TEXT, "attention_window": 8}),
    "modernbert": (
        "ModernBertModel",
        "ModernBertForMaskedLM",
        {
            **TEXT,
            "pad_token_id": 0,
            "cls_token_id": 1,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "sep_token_id": 2,
        },
    ),
    "gpt2": ("GPT2Model", "GPT2LMHeadModel", {**GPT, "n_positions": 64}),
    "gpt_neo": (
        "GPTNeoModel",
        "GPTNeoForCausalLM",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "vocab_size": 99,
        },
    ),
    "gpt_neox": ("GPTNeoXModel", "GPTNeoXForCausalLM", TEXT),
    "gptj": ("GPTJModel", "GPTJForCausalLM", {**GPT, "rotary_dim": 4}),
    "opt": (
        "OPTModel",
        "OPTForCausalLM",
        {**TEXT, "word_embed_proj_dim": 16, "ffn_dim": 64},
    ),
    "bloom": (
        "BloomModel",
        "BloomForCausalLM",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99},
    ),
    "llama": ("LlamaModel", "LlamaForCausalLM", {**TEXT, "num_key_value_heads": 2}),
    "mixtral": (
        "MixtralModel",
        "MixtralForCausalLM",
        {**TEXT, "num_key_value_heads": 2, "num_local_experts": 4},
    ),
    "deepseek_v3": (
        "DeepseekV3Model",
        "DeepseekV3ForCausalLM",
        {
            **TEXT,
            "num_key_value_heads": 4,
            "moe_intermediate_size": 16,
            "n_routed_experts": 8,
            "n_group": 2,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "kv_lora_rank": 16,
            "q_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "first_k_dense_replace": 1,
        },
    ),
    "mamba": (
        "MambaModel",
        "MambaForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4},
    ),
    "mamba2": (
        "Mamba2Model",
        "Mamba2ForCausalLM",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "vocab_size": 99,
            "state_size": 8,
            "num_heads": 8,
            "head_dim": 8,
            "n_groups": 2,
        },
    ),
    "rwkv": (
        "RwkvModel",
        "RwkvForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "attention_hidden_size": 32},
    ),
    "recurrent_gemma": (
        "RecurrentGemmaModel",
        "RecurrentGemmaForCausalLM",
        {**TEXT, "num_hidden_layers": 3, "lru_width": 32, "num_key_value_heads": 1},
    ),
    "jamba": (
        "JambaModel",
        "JambaForCausalLM",
        {
            **TEXT,
            "num_key_value_heads": 2,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "use_mamba_kernels": False,
            "mamba_dt_rank": 4,
        },
    ),
    "reformer": (
        "ReformerModel",
        "ReformerModelWithLMHead",
        {
            "attention_head_size": 8,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "feed_forward_size": 64,
            "attn_layers": ["local", "lsh"],
            "axial_pos_shape": [4, 16],
            "axial_pos_embds_dim": [16, 16],
            "vocab_size": 99,
            "is_decoder": True,
            "num_buckets": 4,
            "lsh_attn_chunk_length": 8,
            "local_attn_chunk_length": 8,
            "hash_seed": 1,
        },
    ),
    "xlnet": (
        "XLNetModel",
        "XLNetLMHeadModel",
        {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "vocab_size": 99},
    ),
    "t5": (
        "T5Model",
        "T5ForConditionalGeneration",
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99},
    ),
    "bart": ("BartModel", "BartForConditionalGeneration", SEQ2SEQ),
    "pegasus": ("PegasusModel", "PegasusForConditionalGeneration", SEQ2SEQ),
    "vit": ("ViTModel", "ViTForImageClassification", IMAGE),
    "clip": (
        "CLIPModel",
        "",
        {"text_config": {**TEXT, "max_position_embeddings": 77}, "vision_config": IMAGE},
    ),
}
"""Type to bare class, class with a head, configuration."""

FP32_ONLY = {"xlnet", "reformer"}
"""Classes whose own code mixes types when asked for bf16."""


def tiny(model_type: str, weights: Path | None = None, **config: Any) -> Model:
    """Make a tiny model; `config` changes its configuration."""
    bare, head, usual = TINY[model_type]
    anatomy = Anatomy(
        model_type=model_type,
        bare_class=bare,
        head_class=head,
        params=1,
        params_with_head=1,
        hidden=32,
        n_layers=2,
        feed_forward=64,
        vocabulary=99,
        positions=Positions(kind="none", limit=None),
    )
    return Model(
        name=f"tiny/{model_type}",
        architecture=f"{model_type} {sorted(config.items())}",
        model_type=model_type,
        config={**usual, **config},
        anatomy=anatomy,
        weights=weights,
    )


def call(model_type: str, module: Any) -> Any:
    """Run a module on some tokens or an image; return its first output."""
    import torch

    source = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, 99, (2, 16), generator=source)
    image = torch.randn(1, 3, 32, 32, generator=source).to(module.dtype)
    inputs: dict[str, Any] = {} if model_type == "vit" else {"input_ids": tokens}
    if model_type in ("vit", "clip"):
        inputs["pixel_values"] = image
    if model_type in ("t5", "bart", "pegasus"):
        inputs["decoder_input_ids"] = tokens[:, :8]
    with torch.no_grad():
        outputs = module(**inputs)
    return next(
        outputs[name] for name in ("logits", "last_hidden_state", "logits_per_text") if name in outputs
    )
