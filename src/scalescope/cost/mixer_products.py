"""FLOP of the matrix products that one layer of the own trainer makes beside its matrices.

What `torch.utils.flop_counter` sees of `scalescope.training.blocks`, product for product: whole blocks,
masked pairs and padding included. It sees no element-wise work (norms, decays, masks, short convolutions,
the sum of an update and a faded state), nor the forward and one of the two backward parts of a triangular
system, nor fused attention on a CPU (it does where attention is made of plain products). `mixers.COSTS`
count what the methods need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalescope.cost.mixers import hash_flop, pair_sizes
from scalescope.cost.parts import Mixer
from scalescope.cost.shape import Shape


def product_flop(mixer: Mixer, shape: Shape, tokens: int) -> int:
    """Return the FLOP of one layer's mixing, forward and backward, in one sequence of so many tokens."""
    return _PRODUCTS[mixer](shape, tokens)


def _full(shape: Shape, tokens: int) -> int:
    return 6 * shape.n_heads * pair_sizes(shape) * tokens * tokens


def _window(shape: Shape, tokens: int) -> int:
    """Blocks of queries against their own keys and the neighbouring blocks'."""
    assert shape.window is not None
    before = shape.window - 1 if shape.causal else shape.window // 2
    if tokens <= before + 1:
        return _full(shape, tokens)
    size = shape.window if shape.causal else max(before, 1)
    keys = size * (2 if shape.causal or not before else 3)
    return 12 * shape.n_heads * shape.head_size * _padded(tokens, size) * keys


def _hashed(shape: Shape, tokens: int) -> int:
    """Blocks of the sorted sequence, once a round, and hashes, which have no gradient."""
    hashing = shape.hashing
    assert hashing is not None
    size = hashing.bucket if shape.causal else max(1, hashing.bucket // 2)
    keys = size * (2 if shape.causal or hashing.bucket < 2 else 3)
    scores = 12 * shape.n_heads * shape.head_size * _padded(tokens, size) * keys * hashing.rounds
    return scores + tokens * hash_flop(shape)


def _scan(tokens: int, chunk: int, keys: int, values: int, states: int) -> int:
    """Scores and their use in chunks; where there are several, a state of so many numbers, filled, read."""
    chunk = min(chunk, tokens)
    inside = 2 * chunk * (keys + values)
    through = 4 * states if tokens > chunk else 0
    return 3 * _padded(tokens, chunk) * (inside + through)


def _retention(shape: Shape, tokens: int) -> int:
    assert shape.linear is not None
    keys = shape.n_heads * shape.head_size
    values = keys * shape.linear.expand
    return _scan(tokens, shape.linear.chunk, keys, values, keys * values // shape.n_heads)


def _mamba2(shape: Shape, tokens: int) -> int:
    space = shape.state_space
    assert space is not None
    inner = space.expand * shape.width
    return _scan(tokens, space.chunk, space.groups * space.state, inner, space.state * inner)


def _gated_delta(shape: Shape, tokens: int) -> int:
    """Two sets of scores; of the triangular system one part of its gradient; maps of the state, their use."""
    assert shape.linear is not None
    chunk, size = min(shape.linear.chunk, tokens), shape.head_size
    keys = shape.n_heads * size
    values = keys * shape.linear.expand
    length = _padded(tokens, chunk)
    total = length * chunk * (3 * (4 * keys + 2 * values) + 2 * (keys + values))
    chunks = length // chunk
    if chunks > 1:  # maps from state to state have a gradient only where there are three
        total += 18 * length * size * values + (6 if chunks > 2 else 2) * length * size * keys
        total += 6 * (chunks - 2) * size * size * values
    return total


def _padded(tokens: int, size: int) -> int:
    return -(-tokens // size) * size


_PRODUCTS: Mapping[Mixer, Callable[[Shape, int], int]] = {
    "full": _full,
    "window": _window,
    "hashed": _hashed,
    "retention": _retention,
    "gated-delta": _gated_delta,
    "mamba2": _mamba2,
}
