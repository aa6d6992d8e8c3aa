"""The tensors that autograd keeps of one token for the backward pass, block by block.

A list and not one constant: each tensor is split by other degrees of a layout, and an implementation that
saves more or less is one entry more or less. Assumed are fused attention (scores are never written), norms
that keep their input and nothing else, and no dropout. Korthikanti et al. 2022
(https://arxiv.org/abs/2205.05198) count 34 bytes times the width for a block with dropout in 16 bits; without
its two masks this list gives their 32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scalescope.cost.groups import layer_counts
from scalescope.cost.shape import Shape

Split = Literal["stream", "tensor", "none"]
"""What divides it: sequence parallelism (all between the matrices), tensor parallelism, or nothing."""
QUERY_BLOCK = 64
"""Queries that attend together in the own trainer's gradients by hand."""
Place = Literal["attention", "state space", "feed-forward", "experts", "ends"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTensor:
    """One kept tensor of all layers of its kind."""

    name: str
    place: Place
    layers: int
    numbers: float
    """Of one token in one layer."""
    split: Split
    size: int | None = None
    """Bytes of one number; None for those of the computation, 2 in bf16."""
    scores: bool = False
    """Whether selective recomputation makes it again."""
    gathered: bool = False
    """Whether products take it: sequence parallelism gathers it before them, and autograd keeps it whole."""
    reduced: bool = False
    """Whether it is there only where tensor parallelism reduces and scatters."""
    sequence: bool = False
    """Whether it is of the tokens of all ranks that share a sequence."""
    joined: bool = False
    """Whether it is there only where ranks share a sequence."""

    def bytes_per_token(self, compute: int) -> float:
        """Return its bytes in all layers, before anything splits it."""
        return self.layers * self.numbers * (compute if self.size is None else self.size)


def saved_tensors(
    shape: Shape,
    *,
    fused_attention: bool = True,
    fused_norms: bool = True,
    own_turns: bool = False,
    gathered_keys: bool = False,
    by_hand: bool = False,
) -> tuple[SavedTensor, ...]:
    """List what is kept of one token between its forward and its backward pass; logits are not in it.

    Parameters
    ----------
    shape
        What is trained.
    fused_attention
        Whether scores are never written; else two copies of them are kept, one number for each token before.
    fused_norms
        Whether a norm keeps its input alone; else two copies of it in fp32, as RMSNorm without a kernel does.
    own_turns
        Whether every layer keeps cosines and sines of its tokens' places, as `training.blocks.rotary` does.
    gathered_keys
        Whether context parallelism gathers keys and values, as `training.distributed` does, so that they are
        kept of all ranks, and what attention makes of the two ends of a rank's tokens once more as one.
    by_hand
        Whether the gradients are those that the own trainer spells out for short sequences on a CPU
        (`scalescope.training.stacked.gradients`): the stream in fp32, attention weights up to the diagonal.
    """
    if by_hand:
        return tuple(_by_hand(shape))
    places = _places(shape, own_turns, gathered_keys)
    return (*_tensors(shape, fused_attention, fused_norms, gathered_keys), *places)


def _places(shape: Shape, own_turns: bool, gathered_keys: bool) -> Iterator[SavedTensor]:
    """What a layer with attention keeps because of where its tokens are."""
    layers = layer_counts(shape)[0]
    if own_turns and layers and shape.positions == "rotary" and shape.latent is None:
        yield SavedTensor(
            name="cosines and sines",
            place="attention",
            layers=layers,
            numbers=2 * (shape.head_size // 2),
            split="none",
        )
    if gathered_keys and layers and shape.causal:
        inner = shape.n_heads * shape.head_size
        yield SavedTensor(
            name="attention output in pieces",
            place="attention",
            layers=layers,
            numbers=inner,
            split="tensor",
            joined=True,
        )


def _tensors(
    shape: Shape, fused_attention: bool, fused_norms: bool, gathered_keys: bool
) -> Iterator[SavedTensor]:
    attention, state, plain, sparse = layer_counts(shape)
    if attention:
        yield from _norm("attention", attention, shape, fused_norms)
        yield from _attention(shape, attention, fused_attention, gathered_keys)
    if state:
        yield from _norm("state space", state, shape, fused_norms)
        yield from _states(shape)
    if plain:
        yield from _norm("feed-forward", plain, shape, fused_norms)
        yield from _feed_forward("feed-forward", plain, shape, 1, shape.feed_forward)
    if sparse:
        yield from _norm("experts", sparse, shape, fused_norms)
        yield from _experts(shape, sparse)
    yield from _norm("ends", 1, shape, fused_norms)


def _norm(place: Place, layers: int, shape: Shape, fused: bool) -> Iterator[SavedTensor]:
    """Input and output of a norm, and its scale; the output is what the matrix after it takes."""
    d = shape.width
    if fused or shape.norm == "layer":
        yield SavedTensor(name="norm input", place=place, layers=layers, numbers=d, split="stream")
    else:
        yield SavedTensor(
            name="norm input", place=place, layers=layers, numbers=2 * d + 1, split="stream", size=4
        )
    yield SavedTensor(
        name="norm output", place=place, layers=layers, numbers=d, split="stream", gathered=True
    )


def _attention(shape: Shape, layers: int, fused: bool, gathered: bool) -> Iterator[SavedTensor]:
    def kept(name: str, numbers: float, split: Split = "tensor", **more: object) -> SavedTensor:
        return SavedTensor(
            name=name,
            place="attention",
            layers=layers,
            numbers=numbers,
            split=split,
            **more,  # type: ignore[arg-type]
        )

    h, latent = shape.n_heads, shape.latent
    if latent is None:
        yield kept("queries", h * shape.head_size)
        yield kept("keys and values", 2 * shape.n_kv_heads * shape.head_size, sequence=gathered)
        values = shape.head_size
    else:
        ranks = 2 * (latent.key_value_rank + (latent.query_rank or 0))
        yield kept("latents before and after their norms", ranks, "none")
        yield kept("queries and keys", 2 * h * (latent.nope + latent.rotary))
        yield kept("values", h * latent.value)
        values = latent.value
    if fused:
        yield kept("log-sum-exp", h, size=4)
    else:
        yield kept("scores", 2 * h * _mean_seen(shape, layers), scores=True)
    yield kept("attention output", h * values)


def _mean_seen(shape: Shape, layers: int) -> float:
    """Tokens that one is compared with, in the mean of the layers with attention."""
    narrow = min(shape.context, shape.window or shape.context)
    windows = shape.mixers.count("window")
    return (windows * narrow + (layers - windows) * shape.context) / layers


def _feed_forward(
    place: Place, layers: int, shape: Shape, copies: float, width: int
) -> Iterator[SavedTensor]:
    """Before and after the activation; a gated one keeps gate, activated gate, up and their product."""
    tensors = 4 if shape.gated else 2
    yield SavedTensor(
        name="hidden", place=place, layers=layers, numbers=tensors * copies * width, split="tensor"
    )


def _experts(shape: Shape, layers: int) -> Iterator[SavedTensor]:
    experts = shape.experts
    assert experts is not None

    def kept(name: str, numbers: float, split: Split = "none", size: int | None = None) -> SavedTensor:
        return SavedTensor(name=name, place="experts", layers=layers, numbers=numbers, split=split, size=size)

    yield kept("router scores before and after", 2 * experts.count, size=4)
    yield kept("tokens sent to experts and back", 2 * experts.top_k * shape.width)
    yield from _feed_forward("experts", layers, shape, experts.top_k + experts.shared, experts.width)


def _states(shape: Shape) -> Iterator[SavedTensor]:
    mixers = Counter(shape.mixers)
    if mixers["mamba2"]:
        yield from _state_space(shape, mixers["mamba2"])
    if mixers["retention"] or mixers["gated-delta"]:
        yield from _linear(shape, mixers["retention"] + mixers["gated-delta"])


def _linear(shape: Shape, layers: int) -> Iterator[SavedTensor]:
    """What linear attention keeps when its scan is one kernel: what it reads, its output, and states."""
    linear = shape.linear
    assert linear is not None
    keys = shape.n_heads * shape.head_size
    values = linear.expand * keys
    for name, numbers in (
        ("queries, keys, values and gate", 2 * keys + 2 * values),
        ("scan output, normed and gated", 3 * values),
        ("states between chunks", keys * values / shape.n_heads / linear.chunk),
    ):
        yield SavedTensor(name=name, place="state space", layers=layers, numbers=numbers, split="tensor")


def _state_space(shape: Shape, layers: int) -> Iterator[SavedTensor]:
    """What a Mamba-2 block keeps when its scan is one kernel: projections, convolution, and its output."""
    space = shape.state_space
    assert space is not None
    inner, maps = space.expand * shape.width, 2 * space.groups * space.state
    for name, numbers in (
        ("projections", 2 * inner + maps + inner // space.head_size),
        ("convolution output before and after its activation", 2 * (inner + maps)),
        ("scan output, gated and normed", 3 * inner),
        ("states between chunks", inner * space.state / space.chunk),
    ):
        yield SavedTensor(name=name, place="state space", layers=layers, numbers=numbers, split="tensor")


def _by_hand(shape: Shape) -> Iterator[SavedTensor]:
    """What the own trainer keeps; where heads share keys, those as computed and as repeated."""
    layers, d, inner = shape.n_layers, shape.width, shape.n_heads * shape.head_size
    shared = shape.n_heads != shape.n_kv_heads
    keys = 2 * shape.n_kv_heads * shape.head_size + (2 * inner if shared else 0)
    block = min(QUERY_BLOCK, shape.context)
    split: Split = "none"
    for name, numbers, size in (
        ("norm inputs and their scales", 2 * (d + 1), 4),
        ("norm outputs", 2 * d, None),
        ("queries, keys and values", inner + keys, None),
        ("attention weights", shape.n_heads * (shape.context + block) / 2, None),
        ("attention output", inner, None),
        ("hidden", 4 * shape.feed_forward, None),
    ):
        yield SavedTensor(
            name=name, place="attention", layers=layers, numbers=numbers, split=split, size=size
        )
