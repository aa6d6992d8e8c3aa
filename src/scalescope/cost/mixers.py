"""What one layer of each mixer counts: parameters, FLOP beside its matrices, and what it keeps of a text.

A new mixer is one entry of `COSTS`; `groups`, `flop`, `saved` and `cache` only walk over `Shape.mixers`.
Sources: Ainslie et al. 2023 (https://arxiv.org/abs/2305.13245) for grouped heads, DeepSeek-V2
(https://arxiv.org/abs/2405.04434) for latent attention, Dao & Gu 2024 (https://arxiv.org/abs/2405.21060,
section 6) for Mamba-2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scalescope.cost.parts import Mixer

if TYPE_CHECKING:
    from scalescope.cost.shape import Shape

MixerRole = Literal["attention", "linear attention", "state space"]


def _nothing(_: Shape) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerCost:
    """One mixer."""

    role: MixerRole
    matrices: Callable[[Shape], int]
    """Parameters that multiply, of one layer."""
    elementwise: Callable[[Shape], int] = _nothing
    """Other parameters but norms, of one layer: biases, convolutions, decays."""
    norms: Callable[[Shape], int] = _nothing
    """Of the mixer itself, of one layer."""
    flop: Callable[[Shape, float, bool], float]
    """Shape, tokens of a sequence, and whether pairs that are masked are left out: FLOP of one layer beside
    its matrices, forward and backward, for one token in the mean of a sequence."""
    kept: Callable[[Shape, int], int]
    """Shape and tokens of a text: numbers that one layer keeps of it while more is written."""


def attention_matrices(shape: Shape) -> int:
    """Count the matrices of one layer of softmax attention, latent or not."""
    d, h, latent = shape.width, shape.n_heads, shape.latent
    if latent is None:
        return 2 * d * shape.head_size * (h + shape.n_kv_heads)
    size, rank = latent.nope + latent.rotary, latent.query_rank
    query = d * h * size if rank is None else d * rank + rank * h * size
    down = d * (latent.key_value_rank + latent.rotary)
    up = latent.key_value_rank * h * (latent.nope + latent.value)
    return query + down + up + h * latent.value * d


def _attention_biases(shape: Shape) -> int:
    keys = shape.head_size * (shape.n_heads + 2 * shape.n_kv_heads)
    if shape.biases:
        return keys + shape.width
    return keys if shape.query_biases else 0


def _attention_norms(shape: Shape) -> int:
    latent = shape.latent
    own = 2 * shape.head_size if shape.head_norms else 0
    return own + (0 if latent is None else latent.key_value_rank + (latent.query_rank or 0))


def pair_sizes(shape: Shape) -> int:
    """Numbers of one head in a query-key product and in the use of its weight."""
    latent = shape.latent
    return 2 * shape.head_size if latent is None else latent.nope + latent.rotary + latent.value


def _full_flop(shape: Shape, context: float, causal: bool) -> float:
    return 6.0 * shape.n_heads * pair_sizes(shape) * _keys(context, None, causal=causal and shape.causal)


def _window_flop(shape: Shape, context: float, causal: bool) -> float:
    keys = _keys(context, shape.window, causal=causal and shape.causal)
    return 6.0 * shape.n_heads * pair_sizes(shape) * keys


def _keys(context: float, window: int | None, *, causal: bool) -> float:
    """Mean number of tokens that a token is compared with."""
    seen = context if window is None else min(window, context)
    if not causal:
        return seen
    return seen - seen * seen / (2 * context)


def _full_kept(shape: Shape, tokens: int) -> int:
    latent = shape.latent
    if latent is None:
        return tokens * 2 * shape.n_kv_heads * shape.head_size
    return tokens * (latent.key_value_rank + latent.rotary)


def _window_kept(shape: Shape, tokens: int) -> int:
    return _full_kept(shape, min(tokens, shape.window or tokens))


def _space_sizes(shape: Shape) -> tuple[int, int, int]:
    """Inner width, heads, and numbers of the input and output maps."""
    space = shape.state_space
    assert space is not None
    inner = space.expand * shape.width
    return inner, inner // space.head_size, 2 * space.groups * space.state


def _mamba2_matrices(shape: Shape) -> int:
    inner, heads, maps = _space_sizes(shape)
    return shape.width * (2 * inner + maps + heads) + inner * shape.width


def _mamba2_elementwise(shape: Shape) -> int:
    """Count the convolution with its bias, and decays, skips and steps of heads."""
    assert shape.state_space is not None
    inner, heads, maps = _space_sizes(shape)
    return (inner + maps) * (shape.state_space.kernel + 1) + 3 * heads


def _mamba2_norms(shape: Shape) -> int:
    return _space_sizes(shape)[0]


def _mamba2_flop(shape: Shape, context: float, causal: bool) -> float:
    """FLOP inside chunks, of which half is masked, and what enters and leaves the state."""
    space = shape.state_space
    assert space is not None
    inner = _space_sizes(shape)[0]
    keys = min(space.chunk, context) * (0.5 if causal else 1.0)
    inside = 2 * keys * (space.groups * space.state + inner)
    through = 4 * space.state * inner
    return 3.0 * (inside + through)


def _mamba2_kept(shape: Shape, _: int) -> int:
    """Count the state and the inputs of the convolution."""
    space = shape.state_space
    assert space is not None
    inner, _, maps = _space_sizes(shape)
    return inner * space.state + (inner + maps) * space.kernel


def _linear_sizes(shape: Shape) -> tuple[int, int]:
    """Widths of all keys and of all values."""
    assert shape.linear is not None
    keys = shape.n_heads * shape.head_size
    return keys, keys * shape.linear.expand


def _retention_matrices(shape: Shape) -> int:
    """Count queries, keys, values, the gate of the output, and the output."""
    keys, values = _linear_sizes(shape)
    return shape.width * (2 * keys + 3 * values)


def _linear_flop(shape: Shape, context: float, causal: bool) -> float:
    assert shape.linear is not None
    keys, values = _linear_sizes(shape)
    seen = min(shape.linear.chunk, context) * (0.5 if causal else 1.0)
    return 3.0 * (2 * seen * (keys + values) + 4 * keys * values / shape.n_heads)


def _retention_kept(shape: Shape, _: int) -> int:
    keys, values = _linear_sizes(shape)
    return keys * values // shape.n_heads


def _gated_delta_matrices(shape: Shape) -> int:
    """Count what retention has, and what each head draws its step and its strength from."""
    return _retention_matrices(shape) + 2 * shape.width * shape.n_heads


def _gated_delta_elementwise(shape: Shape) -> int:
    """Count the convolutions, and decays and steps of heads."""
    assert shape.linear is not None
    keys, values = _linear_sizes(shape)
    return shape.linear.kernel * (2 * keys + values) + 2 * shape.n_heads


def _gated_delta_flop(shape: Shape, context: float, causal: bool) -> float:
    """Two sets of scores, the triangular system for values and keys, and the state, which is read twice."""
    assert shape.linear is not None
    keys, values = _linear_sizes(shape)
    seen = min(shape.linear.chunk, context) * (0.5 if causal else 1.0)
    return 3.0 * (2 * seen * (3 * keys + 2 * values) + 6 * keys * values / shape.n_heads)


def _gated_delta_kept(shape: Shape, _: int) -> int:
    """Count the state and the inputs of the convolutions."""
    assert shape.linear is not None
    keys, values = _linear_sizes(shape)
    return keys * values // shape.n_heads + (2 * keys + values) * shape.linear.kernel


def hash_factors(context: int, bucket: int) -> tuple[int, ...]:
    """Return the even factors whose product is the number of buckets of a hashed layer; none for one bucket.

    Twice the sequence over the chunk, a power of two, in two factors where it exceeds twice the chunk, so
    that hashing costs little (https://arxiv.org/abs/2001.04451; the rule of transformers' `ReformerConfig`).
    """
    power = (2 * (context // bucket)).bit_length() - 1
    if context <= bucket or power < 1:
        return ()
    if 2**power <= 2 * max(int((context // bucket) ** 0.5), bucket) or power < 2:
        return (2**power,)
    return 2 ** (power // 2), 2 ** (power - power // 2)


def _hashed_matrices(shape: Shape) -> int:
    """Count the shared matrix of queries and keys, values and output."""
    return 3 * shape.width * shape.n_heads * shape.head_size


def _hashed_flop(shape: Shape, context: float, causal: bool) -> float:
    """Two buckets a round, of which at most half is seen; and the hashes, which have no gradient."""
    hashing, inner = shape.hashing, shape.n_heads * shape.head_size
    assert hashing is not None
    seen = min(2 * hashing.bucket, context) * (0.5 if causal else 1.0)
    return 12.0 * hashing.rounds * inner * seen + hash_flop(shape)


def hash_flop(shape: Shape) -> int:
    """Return the FLOP of one token's hashes in one layer."""
    assert shape.hashing is not None
    directions = sum(hash_factors(shape.context, shape.hashing.bucket)) // 2
    return 2 * shape.n_heads * shape.head_size * shape.hashing.rounds * directions


def _hashed_kept(shape: Shape, tokens: int) -> int:
    """Count shared queries and keys, and values; buckets are small beside them."""
    return tokens * 2 * shape.n_heads * shape.head_size


COSTS: Mapping[Mixer, MixerCost] = {
    "full": MixerCost(
        role="attention",
        matrices=attention_matrices,
        elementwise=_attention_biases,
        norms=_attention_norms,
        flop=_full_flop,
        kept=_full_kept,
    ),
    "window": MixerCost(
        role="attention",
        matrices=attention_matrices,
        elementwise=_attention_biases,
        norms=_attention_norms,
        flop=_window_flop,
        kept=_window_kept,
    ),
    "hashed": MixerCost(role="attention", matrices=_hashed_matrices, flop=_hashed_flop, kept=_hashed_kept),
    "retention": MixerCost(
        role="linear attention",
        matrices=_retention_matrices,
        norms=lambda shape: _linear_sizes(shape)[1],
        flop=_linear_flop,
        kept=_retention_kept,
    ),
    "gated-delta": MixerCost(
        role="linear attention",
        matrices=_gated_delta_matrices,
        elementwise=_gated_delta_elementwise,
        norms=lambda shape: _linear_sizes(shape)[1] // shape.n_heads,
        flop=_gated_delta_flop,
        kept=_gated_delta_kept,
    ),
    "mamba2": MixerCost(
        role="state space",
        matrices=_mamba2_matrices,
        elementwise=_mamba2_elementwise,
        norms=_mamba2_norms,
        flop=_mamba2_flop,
        kept=_mamba2_kept,
    ),
}
"""Mixer to what it counts."""
