"""How far a model reaches, read from its position modules: tables, buffers, or nothing that ends."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from scalescope.cost import Positions

if TYPE_CHECKING:
    from torch.nn import Module

NAMES = re.compile(r"(position|pos_emb|embed_positions|\bwpe\b|positions_embed)", re.IGNORECASE)
NOT_A_TABLE = re.compile(r"relative|rel_|bias|token_type|distance", re.IGNORECASE)

RELATIVE = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "xlnet", "deberta", "deberta-v2", "mpt"}
BUFFERS = {"gptj", "codegen"}
"""Rotary angles in a buffer of fixed length."""
GROWING = {"xglm", "m2m_100", "fsmt", "speech_to_text", "nllb-moe"}
"""Sinusoidal tables that are made longer when a text needs it."""


def positions_of(bare: Module, config: Any) -> Positions:
    """Read what limits the length of a text."""
    text = config.get_text_config()
    kind = config.model_type
    trained = _trained(text)
    if getattr(bare, "main_input_name", "") == "pixel_values" and not hasattr(config, "text_config"):
        return Positions(kind="table", limit=None)
    if kind == "reformer":
        return _reformer(config)
    if kind in BUFFERS:
        return Positions(kind="rope_buffer", limit=trained, trained=trained)
    if kind in GROWING:
        return Positions(kind="sinusoidal", limit=None, trained=trained)
    if getattr(config, "alibi", False) or kind == "bloom":
        return Positions(kind="alibi", limit=None, trained=trained or 2048)
    tables = tables_of(bare)
    if tables and not (kind == "esm" and config.position_embedding_type == "rotary"):
        return _table(bare, config, tables, trained)
    if kind in RELATIVE:
        return Positions(kind="relative", limit=None, trained=trained)
    rotary = any("Rotary" in type(module).__name__ for module in bare.modules())
    return Positions(kind="rope" if rotary else "none", limit=None, trained=trained)


def tables_of(bare: Module) -> dict[str, int]:
    """Name the position tables of the text sides, with the longest text that each allows."""
    from torch import nn

    return {
        name: _usable(module)
        for name, module in bare.named_modules()
        if isinstance(module, nn.Embedding)
        and NAMES.search(name)
        and not NOT_A_TABLE.search(name)
        and not re.match(r"vision|visual", name)
    }


def image_tokens_of(bare: Module, config: Any) -> int:
    """Count the patches of one image, with class and register tokens; 0 if the model sees no images."""
    part = getattr(config, "vision_config", None) or config
    size, patch = getattr(part, "image_size", None), getattr(part, "patch_size", None)
    if not size or not patch:
        return 0
    (height, width), (tall, wide) = _pair(size), _pair(patch)
    extra = sum(
        parameter.shape[1] if parameter.dim() == 3 else 1
        for name, parameter in bare.named_parameters()
        if re.search(r"(cls_token|class_embedding|register_tokens|distillation_token)$", name)
    )
    return (height // tall) * (width // wide) + int(extra)


def _table(bare: Module, config: Any, tables: dict[str, int], trained: int | None) -> Positions:
    decoder = {name: limit for name, limit in tables.items() if re.search(r"(^|\.)decoder\.", name)}
    limits = [limit for name, limit in tables.items() if name not in decoder]
    kind = "sinusoidal" if _sinusoidal(bare, tables) else "table"
    limit = min(limits or decoder.values())
    if config.model_type == "prophetnet":  # clamped to the table's end, but for the streams ahead of the text
        reach = config.max_position_embeddings - config.pad_token_id - config.ngram
        return Positions(kind="table, clamped", limit=None, trained=trained, decoder_limit=reach)
    if config.model_type == "nystromformer":  # the first two rows are never reached
        limit -= 2
    other = min(decoder.values(), default=limit) if config.is_encoder_decoder else limit
    return Positions(
        kind=kind,
        limit=limit,
        trained=min(trained, limit) if trained else limit,
        decoder_limit=other if other != limit else None,
        multiple_of=_multiple(config),
    )


def _usable(table: Any) -> int:
    """Rows of a table that a text can reach: RoBERTa's start after the padding row, OPT's at 2."""
    offset = getattr(table, "offset", 0)
    if not offset and table.padding_idx is not None and "Sinusoidal" not in type(table).__name__:
        offset = table.padding_idx + 1
    return int(table.num_embeddings - offset)


def _reformer(config: Any) -> Positions:
    chunk = math.lcm(config.local_attn_chunk_length, config.lsh_attn_chunk_length)
    if not config.axial_pos_embds:
        return Positions(kind="table", limit=config.max_position_embeddings, multiple_of=chunk)
    return Positions(kind="axial table", limit=math.prod(config.axial_pos_shape), multiple_of=chunk)


def _multiple(config: Any) -> int:
    """Length to whose multiples a model pads its texts by itself."""
    window = getattr(config, "attention_window", None)
    if config.model_type in {"longformer", "led"} and window:
        return int(max(window) if isinstance(window, (list, tuple)) else window)
    return int(config.block_size) if getattr(config, "attention_type", "") == "block_sparse" else 1


def _trained(config: Any) -> int | None:
    for name in (
        "max_position_embeddings",
        "n_positions",
        "context_length",
        "max_encoder_position_embeddings",
    ):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _sinusoidal(bare: Module, tables: dict[str, int]) -> bool:
    return any("Sinusoidal" in type(bare.get_submodule(name)).__name__ for name in tables)


def _pair(size: Any) -> tuple[int, int]:
    return (int(size[0]), int(size[1])) if isinstance(size, (list, tuple)) else (int(size), int(size))
