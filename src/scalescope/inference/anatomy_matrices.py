"""What a model's modules hold: matrices with how often a token meets them, parameters by group, launches.

Read from the modules, not from a formula for the family. What a call meets once, whatever its length (a
pooler, projections of relative positions), is no matrix that tokens are multiplied by: see `flop_per_call`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalescope.cost import Matrix, Side
from scalescope.inference.anatomy_building import generates

if TYPE_CHECKING:
    from torch.nn import Module

ONCE = re.compile(
    r"(^|[._])pooler([._]|$)|_global$|(^|\.)(pos_key_proj|pos_query_proj|contact_head)\b"
    r"|(^|\.)(text_projection|visual_projection|text_model\.head)$|^vision_model\.head\.(mlp|attention\.out_proj)"
    r"|^classifier$|^head$"
)
"""Modules that a call runs once, or never: poolers, global attention, relative positions, projections."""

OF_ENCODER = re.compile(r"(encoder_attn\.[kv]_proj|EncDecAttention\.[kv]|cross_attn\.(key|value)_proj)$")
"""Keys and values of cross-attention: tokens of the encoder pass through them."""

WORK = re.compile(r"Linear|Conv|Embedding|Norm|Activation|GELU|SiLU|ReLU|Tanh|Experts|Router|Rotary")

GROUPS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("experts", re.compile(r"experts?\b|_moe\.(?!router)|\.moe\.|router|\.gate\.weight$")),
    ("norm", re.compile(r"norm|(^|\.)ln_?\w*\.|layer_?norm|\.ln\b", re.IGNORECASE)),
    (
        "embedding",
        re.compile(
            r"embed|\bwte\b|\bwpe\b|shared\.weight|position_?emb|(^|\.)word_\w+\.weight", re.IGNORECASE
        ),
    ),
    (
        "feed-forward",
        re.compile(
            r"mlp|ffn|feed_?forward|fc\d|fc_|intermediate|DenseReluDense|(?<!attention\.)\boutput\.dense"
            r"|dense_h|dense_4h|\.ff\.|wi_?\d?\.|wo\.|\bw[123]\b"
        ),
    ),
    (
        "attention",
        re.compile(
            r"att(n|ention)?|mixer|mamba|rel_attn|query|key|value|temporal|lstm|recurrent|conv|\.w_", re.I
        ),
    ),
)
"""First pattern that a parameter's name matches; embeddings are also told by the class that holds them."""


def matrices_of(bare: Module, head: Module | None, config: Any) -> tuple[Matrix, ...]:
    """List the matrices of the bare model and of its head, equal ones together."""
    counts: Counter[tuple[int, int, float, Side]] = Counter()
    for name, module in bare.named_modules():
        if ONCE.search(name):
            continue
        for rows, columns, count, share in _of_module(name, module, config):
            counts[rows, columns, share, side_of(name, bare, config)] += count
    for name, module in _only_in_head(bare, head):
        for rows, columns, count, share in _of_module(name, module, config):
            counts[rows, columns, share, "head"] += count
    return tuple(
        Matrix(rows=rows, columns=columns, count=count, share=share, side=side)
        for (rows, columns, share, side), count in counts.items()
    )


def side_of(name: str, bare: Module, config: Any) -> Side:
    """Tell which tokens pass through a module of the bare model."""
    if getattr(bare, "main_input_name", "") == "pixel_values" or re.match(r"vision|visual|image", name):
        return "image"
    if getattr(config, "is_encoder_decoder", False):
        inside = re.search(r"(^|\.)decoder\.", name) and not OF_ENCODER.search(name)
        return "decoder" if inside else "encoder"
    return "decoder" if generates(config) else "encoder"


def groups_of(bare: Module) -> dict[str, int]:
    """Count the parameters by what they do; tied ones once."""
    from torch import nn

    totals = dict.fromkeys(("embedding", "attention", "feed-forward", "experts", "norm", "other"), 0)
    owners = {f"{name}.weight" for name, module in bare.named_modules() if isinstance(module, nn.Embedding)}
    for name, parameter in bare.named_parameters():
        totals[_group(name, owners)] += parameter.numel()
    return totals


def flop_per_call(bare: Module, config: Any) -> float:
    """Count the FLOP that one call costs whatever its length."""
    from torch import nn

    dense = (module for name, module in bare.named_modules() if re.search(r"(^|\.)pooler(\.|$)", name))
    pooled = 2.0 * sum(int(module.weight.numel()) for module in dense if isinstance(module, nn.Linear))
    buckets = getattr(config, "position_buckets", 0)
    if config.model_type != "deberta-v2" or not config.relative_attention or buckets <= 0:
        return pooled
    kinds = len(config.pos_att_type or ())
    return pooled + float(4 * config.hidden_size**2 * buckets * kinds * config.num_hidden_layers)


def launches_of(bare: Module, config: Any) -> int:
    """Count the modules without children that do work in one call, shared layers as often as they run."""
    total = 0.0
    for name, module in bare.named_modules():
        if any(True for _ in module.children()) and not _own_work(module):
            continue
        if WORK.search(type(module).__name__):
            total += max(1.0, repeats(name, config))
    return round(total)


def repeats(name: str, config: Any) -> float:
    """Tell how often one call runs a shared module: ALBERT's layers, ProphetNet's streams of n-grams."""
    if config.model_type == "albert" and ".albert_layer_groups." in name:
        return float(config.num_hidden_layers / config.num_hidden_groups)
    if config.model_type == "prophetnet" and re.search(r"(^|\.)decoder\.layers\.", name):
        return 1.0 if OF_ENCODER.search(name) else 1.0 + config.ngram
    if config.model_type == "prophetnet" and name == "lm_head":
        return float(config.ngram)
    if config.model_type == "deberta" and name.endswith((".pos_proj", ".pos_q_proj")):
        return 2.0  # as many positions before a token as after it
    return 1.0


def _of_module(name: str, module: Module, config: Any) -> Iterator[tuple[int, int, int, float]]:
    """Yield rows, columns, count and share of the matrices that a module holds itself."""
    from torch import nn

    kind = type(module).__name__
    share = repeats(name, config) * _share_of_list(name, config)
    if isinstance(module, nn.Linear):
        yield module.in_features, module.out_features, 1, share
    elif kind == "Conv1D":
        rows, columns = module.weight.shape  # type: ignore[misc]  # GPT-2's linear layer
        yield int(rows), int(columns), 1, share
    elif isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        rows = module.weight[0].numel()
        wide = config.hidden_size // config.num_attention_heads if config.model_type == "nystromformer" else 1
        yield rows, module.out_channels, 1, share * wide
    elif isinstance(module, nn.MultiheadAttention):
        yield module.embed_dim, 2 * module.embed_dim, 1, share  # one learnt query: keys and values only
    elif kind == "XLNetRelativeAttention":
        for letter in "qkvor":
            size = module.get_parameter(letter).numel() // config.d_model
            yield config.d_model, size, 1, 2.0 if letter == "r" else 1.0  # positions are twice the tokens
    elif not isinstance(module, nn.Embedding) and "Norm" not in kind:
        yield from _own_parameters(module, config, share)


def _own_parameters(module: Module, config: Any, share: float) -> Iterator[tuple[int, int, int, float]]:
    """Yield what lies in plain parameters: fused experts, routers, block-diagonal gates."""
    kind = type(module).__name__
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.dim() == 3 and "weight" in name + kind.lower() and "Expert" not in kind:
            yield int(parameter.shape[1]), int(parameter.shape[2]), int(parameter.shape[0]), share
        elif parameter.dim() == 3 and "Expert" in kind:
            count, columns, rows = (int(size) for size in parameter.shape)
            yield rows, columns, count, share * active_experts(config) / count
        elif parameter.dim() == 2 and re.search("Router|Gate|TopK|TopkRouter", kind) and "bias" not in name:
            yield int(parameter.shape[1]), int(parameter.shape[0]), 1, share


def active_experts(config: Any) -> int:
    """Tell how many experts a token meets."""
    for name in ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts", "moe_top_k"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return 1


def _share_of_list(name: str, config: Any) -> float:
    """Tell the share of one expert in a list of them."""
    if not re.search(r"\.experts\.(expert_)?\d+\.", name):
        return 1.0
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    total = next((getattr(config, key) for key in names if getattr(config, key, None)), 0)
    return active_experts(config) / total if total else 1.0


def _only_in_head(bare: Module, head: Module | None) -> Iterator[tuple[str, Module]]:
    if head is None:
        return
    prefix = f"{getattr(head, 'base_model_prefix', '')}."
    inside = {name for name, _ in bare.named_modules()}
    for name, module in head.named_modules():
        if name.removeprefix(prefix) not in inside and not name.startswith(prefix):
            yield name, module


def _own_work(module: Module) -> bool:
    return bool(re.search("Experts|Router", type(module).__name__))


def _group(name: str, embeddings: set[str]) -> str:
    if name in embeddings and "norm" not in name:
        return "embedding"
    return next((group for group, pattern in GROUPS if pattern.search(name)), "other")
