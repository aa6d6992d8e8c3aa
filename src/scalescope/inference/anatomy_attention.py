"""Attention and state-space layers of a configuration: what a query looks at, what is cached.

Extra layers with `n_kv_heads=0` cost scores but cache nothing: those against relative positions (XLNet and
DeBERTa; `value_size=0`) and those of ProphetNet's streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scalescope.cost import AttentionLayers, Side, Span

FULL = {"full_attention", "attention", "hybrid", "global", "sparse"}
WINDOW = {"sliding_attention", "chunked_attention", "local", "local_attention"}
STATE = {"linear_attention", "mamba", "conv", "recurrent", "hybrid"}
MAMBA = {"mamba", "falcon_mamba", "jamba", "zamba"}


def attention_of(config: Any, *, causal: bool) -> tuple[AttentionLayers, ...]:
    """List the layers of every kind."""
    if config.model_type in SPECIAL:
        return tuple(SPECIAL[config.model_type](config))
    if getattr(config, "is_encoder_decoder", False):
        return tuple(_two_sides(config))
    if hasattr(config, "vision_config"):
        text = config.get_text_config()
        return (*_image(config.vision_config), *_layers(text, "full" if not causal else "causal", "encoder"))
    if hasattr(config, "patch_size"):
        return tuple(_image(config))
    side: Side = "decoder" if causal else "encoder"
    return tuple(_layers(config, "causal" if causal else "full", side))


def layers_of(config: Any) -> int:
    """Count the blocks of both sides, images left out unless there is nothing else."""
    if getattr(config, "is_encoder_decoder", False):
        return sum(_depths(config))
    return int(config.get_text_config().num_hidden_layers)


def feed_forward_of(config: Any) -> int:
    """Tell the inner width of a feed-forward block; of one expert where all blocks have experts."""
    text = config.get_text_config()
    names = ("intermediate_size", "encoder_ffn_dim", "ffn_dim", "d_ff", "n_inner", "d_inner", "hidden_dim")
    more = ("feed_forward_size", "ffn_hidden_size", "ffn_dim", "attention_hidden_size")
    known = (getattr(text, name, None) for name in names + more)
    value = next((value for value in known if isinstance(value, int)), None)
    return value or 4 * int(text.hidden_size)


def _layers(config: Any, span: Span, side: Side) -> Iterator[AttentionLayers]:
    """Read `layer_types`, or take all layers alike."""
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None)
    window = _window(config)
    if not kinds:
        alike = "sliding_attention" if window and _slides(config) else "full_attention"
        kinds = [alike] * config.num_hidden_layers
    counts = Counter(kinds)
    full = sum(count for kind, count in counts.items() if kind in FULL)
    local = sum(count for kind, count in counts.items() if kind in WINDOW)
    state = sum(count for kind, count in counts.items() if kind in STATE)
    if full:
        yield _plain(config, full, span, side)
    if local:
        yield _plain(config, local, "window", side, window=window)
    if state:
        yield _state(config, state, side)


def _plain(
    config: Any, count: int, span: Span, side: Side, *, window: int | None = None, heads: int | None = None
) -> AttentionLayers:
    n_heads = heads or int(config.num_attention_heads)
    if getattr(config, "kv_lora_rank", None):
        return AttentionLayers(
            count=count,
            span=span,
            n_heads=n_heads,
            head_size=config.qk_nope_head_dim + config.qk_rope_head_dim,
            n_kv_heads=n_heads,
            value_size=config.v_head_dim,
            window=window,
            cache_width=config.kv_lora_rank + config.qk_rope_head_dim,
            side=side,
        )
    size = next((getattr(config, key, None) for key in ("attention_head_dim", "head_dim", "d_kv")), None)
    size = size or getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    if getattr(config, "model_type", "") in MAMBA | {"mamba2"}:
        size = None
    return AttentionLayers(
        count=count,
        span=span,
        n_heads=n_heads,
        head_size=int(size or config.hidden_size // n_heads),
        n_kv_heads=_kv_heads(config, n_heads),
        window=window,
        side=side,
    )


def _kv_heads(config: Any, n_heads: int) -> int:
    if getattr(config, "new_decoder_architecture", False):
        return int(config.num_kv_heads)
    if getattr(config, "multi_query", False):
        return 1
    return int(getattr(config, "num_key_value_heads", None) or n_heads)


def _window(config: Any) -> int | None:
    for name in ("sliding_window", "attention_window_size", "attention_chunk_size", "window_size"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            return 2 * value + 1 if config.model_type == "modernbert" else value
    return None


def _slides(config: Any) -> bool:
    return bool(getattr(config, "use_sliding_window", True))


def _two_sides(config: Any) -> Iterator[AttentionLayers]:
    encoder, decoder = _depths(config)
    one = getattr(config, "encoder_attention_heads", None) or getattr(
        config, "num_encoder_attention_heads", None
    )
    two = getattr(config, "decoder_attention_heads", None) or getattr(
        config, "num_decoder_attention_heads", None
    )
    if config.model_type == "led":
        width = max(config.attention_window)
        yield _plain(config, encoder, "window", "encoder", heads=one, window=width + 1)
    elif config.model_type == "bigbird_pegasus":
        yield _plain(config, encoder, "block", "encoder", heads=one, window=_blocks(config))
    elif getattr(config, "encoder_attention_type", "") in {"local", "transient-global"}:
        window = 3 * (config.local_radius + 1)
        yield _plain(config, encoder, "window", "encoder", heads=one, window=window)
    else:
        yield _plain(config, encoder, "full", "encoder", heads=one)
    yield _plain(config, decoder, "causal", "decoder", heads=two)
    yield _plain(config, decoder, "cross", "decoder", heads=two)


def _depths(config: Any) -> tuple[int, int]:
    def first(*names: str) -> int:
        return int(next(getattr(config, name) for name in names if getattr(config, name, None) is not None))

    return (
        first("encoder_layers", "num_encoder_layers", "num_layers", "num_hidden_layers"),
        first("decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers"),
    )


def _image(config: Any) -> Iterator[AttentionLayers]:
    if getattr(config, "num_attention_heads", None) and isinstance(config.num_hidden_layers, int):
        yield _plain(config, config.num_hidden_layers, "full", "image")


def _state(config: Any, count: int, side: Side) -> AttentionLayers:
    """Describe layers with a state of fixed size; convolution buffers belong to it."""
    kind = config.model_type
    span: Span = (
        "linear" if kind in {"minimax", "xlstm"} or hasattr(config, "linear_num_value_heads") else "recurrent"
    )
    heads, key, value, more = _state_sizes(config)
    return AttentionLayers(
        count=count,
        span=span,
        n_heads=heads,
        head_size=key,
        n_kv_heads=0,
        value_size=value,
        state=heads * key * value + more,
        side=side,
    )


def _state_sizes(config: Any) -> tuple[int, int, int, int]:
    """Heads, elements of a key and of a value, and what the layer keeps besides."""

    def first(*names: str) -> int:
        return int(next((getattr(config, name) for name in names if getattr(config, name, None)), 0))

    kind, hidden = config.model_type, int(config.hidden_size)
    if kind == "rwkv":
        return 1, 1, int(config.attention_hidden_size), 2 * hidden + 2 * int(config.attention_hidden_size)
    if kind == "recurrent_gemma":
        return 1, 1, int(config.lru_width), int(config.lru_width) * (int(config.conv1d_width) - 1)
    if kind == "xlstm":
        heads = int(config.num_heads)
        key, value = int(hidden * config.qk_dim_factor) // heads, int(hidden * config.v_dim_factor) // heads
        return heads, key, value, heads * (key + 1)
    if kind == "minimax":
        size = int(config.head_dim or hidden // config.num_attention_heads)
        return int(config.num_attention_heads), size, size, 0
    if hasattr(config, "linear_num_value_heads"):
        heads, key = int(config.linear_num_value_heads), int(config.linear_key_head_dim)
        value = int(config.linear_value_head_dim)
        wide = 2 * key * int(config.linear_num_key_heads) + heads * value
        return heads, key, value, wide * int(config.linear_conv_kernel_dim)
    if first("conv_L_cache"):
        return 1, 1, hidden, hidden * (first("conv_L_cache") - 1)
    state, kernel = (
        first("mamba_d_state", "state_size", "ssm_state_size"),
        first("mamba_d_conv", "conv_kernel"),
    )
    if kind in MAMBA:
        inner = hidden * first("mamba_expand") if first("mamba_expand") else first("intermediate_size")
        return 1, state, inner, inner * kernel
    heads = first("mamba_n_heads", "n_mamba_heads", "mamba_num_heads", "num_heads")
    size = first("mamba_d_head", "mamba_headdim", "mamba_head_dim", "head_dim")
    groups = first("mamba_n_groups", "mamba_ngroups", "n_groups")
    return heads, state, size, (heads * size + 2 * groups * state) * kernel


def _blocks(config: Any) -> int:
    """Tokens that a query of a block-sparse layer sees: three neighbours, two global, the random ones."""
    return int(config.block_size * (5 + config.num_random_blocks))


def _mamba(config: Any) -> Iterator[AttentionLayers]:
    yield _state(config, config.num_hidden_layers, "decoder")


def _none(_: Any) -> Iterator[AttentionLayers]:
    return iter(())


def _gpt_neo(config: Any) -> Iterator[AttentionLayers]:
    local = config.attention_layers.count("local")
    if config.num_layers - local:
        yield _plain(config, config.num_layers - local, "causal", "decoder")
    if local:
        yield _plain(config, local, "window", "decoder", window=config.window_size)


def _longformer(config: Any) -> Iterator[AttentionLayers]:
    wide = config.attention_window
    width = max(wide) if isinstance(wide, (list, tuple)) else wide
    yield _plain(config, config.num_hidden_layers, "window", "encoder", window=width + 1)


def _big_bird(config: Any) -> Iterator[AttentionLayers]:
    if config.attention_type != "block_sparse":
        yield _plain(config, config.num_hidden_layers, "full", "encoder")
    else:
        yield _plain(config, config.num_hidden_layers, "block", "encoder", window=_blocks(config))


def _reformer(config: Any) -> Iterator[AttentionLayers]:
    for name, span, hashes in (("local", "window", 1), ("lsh", "hashed", config.num_hashes)):
        count = config.attn_layers.count(name)
        chunk = getattr(config, f"{name}_attn_chunk_length")
        seen = 1 + getattr(config, f"{name}_num_chunks_before") + getattr(config, f"{name}_num_chunks_after")
        if count:
            yield AttentionLayers(
                count=count,
                span="hashed" if span == "hashed" else "window",
                n_heads=config.num_attention_heads,
                head_size=config.attention_head_size,
                n_kv_heads=config.num_attention_heads,
                window=chunk * seen * hashes,
                side="decoder" if config.is_decoder else "encoder",
            )


def _relative(config: Any, count: int, span: Span, window: int | None, side: Side) -> AttentionLayers:
    heads = int(config.num_attention_heads)
    return AttentionLayers(
        count=count,
        span=span,
        n_heads=heads,
        head_size=int(config.hidden_size // heads),
        n_kv_heads=0,
        value_size=0,
        window=window,
        side=side,
    )


def _xlnet(config: Any) -> Iterator[AttentionLayers]:
    yield _plain(config, config.n_layer, "full", "encoder")
    yield _relative(config, 2 * config.n_layer, "full", None, "encoder")


def _deberta(config: Any) -> Iterator[AttentionLayers]:
    yield _plain(config, config.num_hidden_layers, "full", "encoder")
    if config.relative_attention:
        buckets = getattr(config, "position_buckets", -1)
        reach = config.max_relative_positions
        reach = reach if reach > 0 else config.max_position_embeddings
        span = buckets if buckets and buckets > 0 else reach
        kinds = len(config.pos_att_type or ())
        yield _relative(config, 2 * kinds * config.num_hidden_layers, "window", span, "encoder")


def _mobilebert(config: Any) -> Iterator[AttentionLayers]:
    heads = int(config.num_attention_heads)
    size = int(config.true_hidden_size) // heads
    yield AttentionLayers(
        count=config.num_hidden_layers,
        span="full",
        n_heads=heads,
        head_size=size,
        n_kv_heads=heads,
        side="encoder",
    )


def _prophetnet(config: Any) -> Iterator[AttentionLayers]:
    """Each of `ngram` streams looks at the main one and at itself, and crosses to the encoder too."""
    yield from _two_sides(config)
    spans: tuple[tuple[Span, int], ...] = (("causal", 2 * config.ngram), ("cross", config.ngram))
    for span, times in spans:
        count = times * config.num_decoder_layers
        one = _plain(config, count, span, "decoder", heads=config.num_decoder_attention_heads)
        yield replace(one, n_kv_heads=0)


SPECIAL = {
    "prophetnet": _prophetnet,
    "mamba": _mamba,
    "mamba2": _mamba,
    "falcon_mamba": _mamba,
    "rwkv": _mamba,
    "xlstm": _mamba,
    "fnet": _none,
    "gpt_neo": _gpt_neo,
    "longformer": _longformer,
    "big_bird": _big_bird,
    "reformer": _reformer,
    "xlnet": _xlnet,
    "deberta": _deberta,
    "deberta-v2": _deberta,
    "mobilebert": _mobilebert,
}
"""Model types whose configuration does not say it in the common way."""
