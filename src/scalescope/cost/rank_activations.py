"""Bytes that autograd keeps of one token in a layer of one rank, for many layouts at once.

What is kept whole by every rank of tensor parallelism, what they share, and what sequence parallelism shares
are divided by different degrees; the lists of `saved` and `saved_operations` say which is which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.layout import RECOMPUTES, Recompute
from scalescope.cost.layouts import Layouts
from scalescope.cost.saved import SavedTensor, saved_tensors
from scalescope.cost.saved_operations import saved_operations
from scalescope.cost.shape import Shape

Floats = NDArray[np.float64]

_MIXERS = ("attention", "state space")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What decides which tensors of a shape are kept."""

    shape: Shape
    compute: int
    """Bytes of one number."""
    fused_attention: bool = True
    fused_norms: bool = True
    compiled: bool = False
    gathers_again: bool = False
    """Whether inputs of products that sequence parallelism gathers are dropped."""
    own_turns: bool = False
    gathered_keys: bool = False
    """Both as `saved_tensors` has them."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """Bytes of one token in one layer of a kind, by what divides them."""

    mixer: bool
    layers: int
    stream: float
    gathered: float
    tensor: float
    whole: float
    reduced: float
    sequence: float
    joined: float


def layer_bytes(keeper: Keeper, layouts: Layouts) -> tuple[Floats, Floats]:
    """Return the bytes of one token in a layer of one rank, kept and made again.

    What is kept is an average over the layers. What is made again is that of the fullest layer, there while
    its gradients are computed.
    """
    kept, fullest = _of_levels(keeper, layouts, layouts.recompute)
    whole = _per_rank(_sums(keeper, "none"), keeper, layouts)[1]
    return kept, np.where(layouts.recompute > 0, np.maximum(whole - fullest, 0.0), 0.0)


def _of_levels(keeper: Keeper, layouts: Layouts, levels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    kept, fullest = np.zeros(len(layouts)), np.zeros(len(layouts))
    for place in np.unique(levels):
        here = levels == place
        average, most = _per_rank(_sums(keeper, RECOMPUTES[place]), keeper, layouts)
        kept, fullest = np.where(here, average, kept), np.where(here, most, fullest)
    return kept, fullest


def _per_rank(sums: tuple[_Sum, ...], keeper: Keeper, layouts: Layouts) -> tuple[Floats, Floats]:
    """Average over the layers, and the fullest mixer with the fullest feed-forward."""
    stream = 1 / np.where(layouts.sequence_parallel == 1, layouts.tp, 1)
    gathered = stream if keeper.gathers_again else 1.0
    tensor, reduced = 1 / layouts.tp, np.where(layouts.tp > 1, stream, 0.0)
    average, most = np.zeros(len(layouts)), {True: np.zeros(len(layouts)), False: np.zeros(len(layouts))}
    for one in sums:
        bytes_ = (
            one.stream * stream
            + one.gathered * gathered
            + one.tensor * tensor
            + one.whole
            + one.reduced * reduced
            + one.sequence * tensor * layouts.cp
            + one.joined * np.where(layouts.cp > 1, tensor, 0.0)
        )
        average = average + bytes_ * (one.layers / keeper.shape.n_layers)
        most[one.mixer] = np.maximum(most[one.mixer], bytes_)
    return average, most[True] + most[False]


@lru_cache(maxsize=256)
def _sums(keeper: Keeper, level: Recompute) -> tuple[_Sum, ...]:
    if level == "full":
        stream = float(keeper.shape.width * keeper.compute)
        return (_Sum(True, keeper.shape.n_layers, stream, *[0.0] * 6),)
    tensors = _tensors(keeper, level)
    places = dict.fromkeys((one.place, one.layers) for one in tensors if one.place != "ends")
    return tuple(
        _sum(place in _MIXERS, layers, [one for one in tensors if one.place == place], keeper.compute)
        for place, layers in places
    )


def _tensors(keeper: Keeper, level: Recompute) -> tuple[SavedTensor, ...]:
    if level == "operations":
        return saved_operations(keeper.shape, compiled=keeper.compiled)
    every = saved_tensors(
        keeper.shape,
        fused_attention=keeper.fused_attention,
        fused_norms=keeper.fused_norms,
        own_turns=keeper.own_turns,
        gathered_keys=keeper.gathered_keys and level == "none",  # else they are gathered again
    )
    return tuple(one for one in every if level == "none" or not one.scores)


def _sum(mixer: bool, layers: int, tensors: Iterable[SavedTensor], compute: int) -> _Sum:
    marks = ("gathered", "reduced", "sequence", "joined")
    kinds = dict.fromkeys(("stream", "gathered", "tensor", "none", "reduced", "sequence", "joined"), 0.0)
    for one in tensors:
        kind = next((mark for mark in marks if getattr(one, mark)), one.split)
        kinds[kind] += one.bytes_per_token(compute) / layers
    return _Sum(mixer, layers, *kinds.values())
