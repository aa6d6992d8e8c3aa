"""The tensors that are kept of one token where single operations are computed again and not whole blocks.

The rule of torchtitan's selective checkpointing by operations (https://github.com/pytorch/torchtitan,
torchtitan/parallelisms/parallelize_llama.py at commit 582fe7d of 2024-12): in a block, kept are its input,
what fused attention returns, what a reduce-scatter returns, and the output of every second matrix product,
beginning with the first. All else is made again, products of grouped experts and scans too. Without
compilation an output is kept even if no gradient needs it, as that of the block's last product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scalescope.cost.groups import layer_counts
from scalescope.cost.saved import Place, SavedTensor, Split
from scalescope.cost.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """One matrix product of a block."""

    name: str
    rows: float
    columns: float
    split: Split = "tensor"
    """What divides its output."""
    last: bool = False
    """Whether it ends a block, so that no gradient needs its output."""
    size: int | None = None
    """Bytes of one number of its output, as `SavedTensor` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A half block of one kind: attention or what stands for it, or a feed-forward."""

    place: Place
    layers: int
    products: tuple[_Product, ...]
    before: int = 0
    """Products of the block that come before it."""

    def again(self) -> Iterator[_Product]:
        return (one for index, one in enumerate(self.products, start=self.before) if index % 2)

    def kept(self) -> Iterator[_Product]:
        return (one for index, one in enumerate(self.products, start=self.before) if index % 2 == 0)


def saved_operations(shape: Shape, *, compiled: bool = False) -> tuple[SavedTensor, ...]:
    """List what is kept of one token between its forward and its backward pass; logits are not in it.

    Parameters
    ----------
    shape
        What is trained; its attention is fused.
    compiled
        Whether a compiler drops outputs that no gradient needs.
    """
    return tuple(_tensors(shape, compiled))


def share_again(shape: Shape) -> float:
    """Return the share of a forward pass's FLOP in the products of blocks that is spent a second time."""
    parts = list(_parts(shape))
    again = sum(part.layers * one.rows * one.columns for part in parts for one in part.again())
    total = sum(part.layers * one.rows * one.columns for part in parts for one in part.products)
    if shape.experts is not None:
        routed = shape.experts.top_k * (3 if shape.gated else 2) * shape.width * shape.experts.width
        again += routed * shape.experts.layers(shape.n_layers)
        total += routed * shape.experts.layers(shape.n_layers)
    return again / total


def _tensors(shape: Shape, compiled: bool) -> Iterator[SavedTensor]:
    for part in _parts(shape):
        last = part.place in ("feed-forward", "experts")

        def kept(name: str, numbers: float, part: _Part = part, **how: object) -> SavedTensor:
            return SavedTensor(name=name, place=part.place, layers=part.layers, numbers=numbers, **how)  # type: ignore[arg-type]

        if not last:
            yield kept("block input", shape.width, split="stream")
        if part.place == "attention":
            values = shape.head_size if shape.latent is None else shape.latent.value
            yield kept("attention output", shape.n_heads * values, split="tensor")
            yield kept("log-sum-exp", shape.n_heads, split="tensor", size=4)
        for one in part.kept():
            if not (compiled and one.last):
                yield kept(one.name, one.columns, split=one.split, size=one.size)
        if not (compiled and last):
            yield kept("output reduced", shape.width, split="stream", reduced=True)


def _parts(shape: Shape) -> Iterator[_Part]:
    attention, state, plain, sparse = layer_counts(shape)
    mixers = tuple(_attention(shape))
    if attention:
        yield _Part(place="attention", layers=attention, products=mixers)
    spaces = shape.mixers.count("mamba2")
    if spaces:
        yield _Part(place="state space", layers=spaces, products=tuple(_state_space(shape)))
    if state > spaces:
        yield _Part(place="state space", layers=state - spaces, products=tuple(_linear(shape)))
    before = len(mixers) if attention else 2
    if plain:
        hidden = tuple(_feed_forward(shape, shape.feed_forward))
        yield _Part(place="feed-forward", layers=plain, products=hidden, before=before)
    if sparse:
        experts = shape.experts
        assert experts is not None
        router = _Product(name="router scores", rows=shape.width, columns=experts.count, split="none", size=4)
        shared = tuple(_feed_forward(shape, experts.shared * experts.width)) if experts.shared else ()
        yield _Part(place="experts", layers=sparse, products=(router, *shared), before=before)


def _attention(shape: Shape) -> Iterator[_Product]:
    d, h, latent = shape.width, shape.n_heads, shape.latent
    values = shape.head_size
    if latent is None:
        yield _Product(name="queries", rows=d, columns=h * values)
        yield _Product(name="keys", rows=d, columns=shape.n_kv_heads * values)
        yield _Product(name="values", rows=d, columns=shape.n_kv_heads * values)
    else:
        values, rank, heads = latent.value, latent.query_rank, h * (latent.nope + latent.rotary)
        if rank is not None:
            yield _Product(name="query latent", rows=d, columns=rank, split="none")
        yield _Product(name="queries", rows=rank or d, columns=heads)
        down = latent.key_value_rank + latent.rotary
        yield _Product(name="key and value latent", rows=d, columns=down, split="none")
        columns = h * (latent.nope + values)
        yield _Product(name="keys and values", rows=latent.key_value_rank, columns=columns)
    yield _Product(name="output", rows=h * values, columns=d, split="none")


def _linear(shape: Shape) -> Iterator[_Product]:
    assert shape.linear is not None
    keys = shape.n_heads * shape.head_size
    values = shape.linear.expand * keys
    for name, columns in (("queries", keys), ("keys", keys), ("values", values), ("gate", values)):
        yield _Product(name=name, rows=shape.width, columns=columns)
    yield _Product(name="output", rows=values, columns=shape.width, split="none")


def _state_space(shape: Shape) -> Iterator[_Product]:
    space = shape.state_space
    assert space is not None
    inner = space.expand * shape.width
    columns = 2 * inner + 2 * space.groups * space.state + inner // space.head_size
    yield _Product(name="projections", rows=shape.width, columns=columns)
    yield _Product(name="output", rows=inner, columns=shape.width, split="none")


def _feed_forward(shape: Shape, width: int) -> Iterator[_Product]:
    yield _Product(name="hidden", rows=shape.width, columns=width)
    if shape.gated:
        yield _Product(name="up", rows=shape.width, columns=width)
    yield _Product(name="down", rows=width, columns=shape.width, split="none", last=True)
