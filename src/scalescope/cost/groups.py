"""The parameters of a shape by what they are for, all of them and those that one token meets.

What a mixer counts is in `mixers`; gated feed-forwards are those of Shazeer 2020
(https://arxiv.org/abs/2002.05202).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from scalescope.cost.mixers import COSTS, MixerCost, MixerRole

if TYPE_CHECKING:
    from scalescope.cost.shape import Shape

Role = Literal[
    "embedding",
    "positions",
    "patches",
    "attention",
    "linear attention",
    "state space",
    "feed-forward",
    "experts",
    "shared experts",
    "router",
    "biases",
    "norms",
    "head",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parameters of one kind, in all layers together."""

    role: Role
    layers: int
    """That have it; 1 for what stands once."""
    params: int
    active: int
    """That one token meets."""
    multiplies: bool
    """Whether a token is multiplied by it: two FLOP a parameter in the forward pass."""


@lru_cache(maxsize=4096)
def groups_of(shape: Shape) -> tuple[Group, ...]:
    """Return the groups in the order in which a token meets them; a tied head multiplies and adds none."""
    return tuple(group for group in _groups(shape) if group.params or group.active)


def _groups(shape: Shape) -> Iterator[Group]:
    d, table = shape.width, shape.vocabulary * shape.width
    if shape.patches is None:
        yield _group("embedding", 1, table, multiplies=False)
    else:
        yield _group("patches", 1, shape.patches.numbers * d)
    if shape.positions == "learned":
        yield _group("positions", 1, (shape.n_positions or shape.context) * d, multiplies=False)
    yield from _mixing(shape)
    _, _, n_mlp, n_experts = layer_counts(shape)
    yield _group("feed-forward", n_mlp, _matrices(shape) * d * shape.feed_forward)
    if shape.experts is not None:
        one = _matrices(shape) * d * shape.experts.width
        many, used = shape.experts.count, shape.experts.top_k
        yield _group("experts", n_experts, many * one, active=used * one)
        yield _group("shared experts", n_experts, shape.experts.shared * one)
        yield _group("router", n_experts, d * many)
    yield _group("biases", 1, _biases(shape), multiplies=False)
    yield _group("norms", 1, _norms(shape), multiplies=False)
    yield Group(role="head", layers=1, params=0 if shape.tied else table, active=table, multiplies=True)


def _mixing(shape: Shape) -> Iterator[Group]:
    """Matrices of the mixers, those of one role together."""
    costs = mixer_costs(shape)
    roles: tuple[MixerRole, ...] = ("attention", "linear attention", "state space")
    for role in roles:
        layers = sum(cost.role == role for cost in costs)
        count = sum(cost.matrices(shape) for cost in costs if cost.role == role)
        yield Group(role=role, layers=layers, params=count, active=count, multiplies=True)


@lru_cache(maxsize=4096)
def mixer_costs(shape: Shape) -> tuple[MixerCost, ...]:
    """Return what each layer's mixer counts."""
    return tuple(COSTS[mixer] for mixer in shape.mixers)


def layer_counts(shape: Shape) -> tuple[int, int, int, int]:
    """Count the layers with softmax attention, with a state, with a plain feed-forward, and with experts."""
    layers, experts = shape.n_layers, shape.experts
    attention = sum(cost.role == "attention" for cost in mixer_costs(shape))
    sparse = 0 if experts is None else experts.layers(layers)
    plain = layers - sparse if shape.feed_forward else 0
    return attention, layers - attention, plain, sparse


def _group(
    role: Role, layers: int, params: int, *, active: int | None = None, multiplies: bool = True
) -> Group:
    met = params if active is None else active
    return Group(role=role, layers=layers, params=layers * params, active=layers * met, multiplies=multiplies)


def _matrices(shape: Shape) -> int:
    """Matrices of one feed-forward."""
    return 3 if shape.gated else 2


def _biases(shape: Shape) -> int:
    """Biases of all layers, and what mixers have beside matrices and norms."""
    total = sum(cost.elementwise(shape) for cost in mixer_costs(shape))
    if shape.biases:
        total += layer_counts(shape)[2] * (shape.feed_forward * (_matrices(shape) - 1) + shape.width)
        total += shape.width if shape.patches is not None else 0
    return total


def _norms(shape: Shape) -> int:
    """Norms of all layers and those that stand once."""
    _, _, plain, sparse = layer_counts(shape)
    one = shape.width * (2 if shape.norm == "layer" else 1)
    total = one * (shape.n_layers + plain + sparse + 1 + (1 if shape.embedding_norm else 0))
    return total + sum(cost.norms(shape) for cost in mixer_costs(shape))
