"""The shapes a study may train: one family from a few thousand parameters up, depth growing with width.

Depth and width are also axes of their own (`of_depth`), and a dense member has twins with experts of the same
active parameters (`with_experts`).
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TypedDict, Unpack

from scalescope.cost import Balance, Experts, Hashing, Linear, Mixer, Shape, StateSpace
from scalescope.errors import InputError

WIDTHS = (
    *range(8, 64, 4),
    *range(64, 128, 8),
    *range(128, 256, 16),
    *range(256, 512, 32),
    *range(512, 2049, 128),
)


class Parts(TypedDict, total=False):
    """Fields of `Shape` that mixers other than full attention need."""

    window: int
    hashing: Hashing
    linear: Linear
    state_space: StateSpace


def depths(width: int) -> tuple[int, ...]:
    """Return the depths of a width: the rule `1.3 + width / 45` rounded, both ways where it is in between.

    At least two layers, since one cannot learn to copy (Olsson et al. 2022, https://arxiv.org/abs/2209.11895).
    """
    rule = max(2.0, 1.3 + width / 45)
    return tuple(sorted({math.floor(rule + 0.3), math.ceil(rule - 0.3)}))


def make_shape(
    width: int,
    n_layers: int,
    vocabulary: int,
    context: int,
    *,
    sharing: int = 1,
    tied: bool = False,
    pattern: tuple[Mixer, ...] = (),
    experts: Experts | None = None,
    **parts: Unpack[Parts],
) -> Shape:
    """Return a member of the family.

    Heads of about 16 below width 64 and of about 32 above; feed-forward of 8/3 of the width, as three
    matrices then hold as much as two of 4.

    Parameters
    ----------
    width, n_layers
        The two axes of size.
    vocabulary, context
        What is read.
    sharing
        Heads that share keys and values, or the nearest number that divides the heads; all do at a large one.
    tied
        Whether the head is the embedding.
    pattern
        Mixers, repeated over the depth; full attention if empty.
    experts
        In place of the feed-forward; `with_experts` keeps the active parameters.
    parts
        What the mixers of the pattern need: `window`, `hashing`, `linear`, `state_space`.
    """
    n_heads = _heads(width)
    groups = [heads for heads in range(1, n_heads + 1) if n_heads % heads == 0]
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=min(groups, key=lambda heads: (abs(heads - n_heads / sharing), heads)),
        feed_forward=max(8, round(8 * width / 3 / 8) * 8),
        vocabulary=vocabulary,
        context=context,
        tied=tied,
        pattern=pattern,
        experts=experts,
        **parts,
    )


def of_depth(shape: Shape, n_layers: int) -> Shape:
    """Return the shape of another depth, whose width makes its blocks and head nearest in size.

    Heads and feed-forward are those of the family at that width; all else stays. Widths are multiples of 4.
    """
    wanted = shape.params_matmul
    sharing = shape.n_heads // shape.n_kv_heads

    def at(width: int) -> Shape:
        plain = make_shape(width, n_layers, shape.vocabulary, shape.context, sharing=sharing)
        names = ("width", "n_layers", "n_heads", "n_kv_heads", "feed_forward")
        return replace(shape, **{name: getattr(plain, name) for name in names})

    low, high = 1, 1
    while at(4 * high).params_matmul < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(4 * middle).params_matmul < wanted else (low, middle)
    return min((at(4 * low), at(4 * high)), key=lambda one: abs(math.log(one.params_matmul / wanted)))


def aspects(shape: Shape, ratios: Sequence[float], *, off: float = 0.05) -> tuple[Shape, ...]:
    """Return shapes of about equal size and of given ratios of width to layers, in the order of their depth.

    Parameters
    ----------
    shape
        Whose size is kept.
    ratios
        Width over layers; the nearest whole numbers of layers, at least two, are taken, each once.
    off
        Most that a size may differ, as a share; shapes that differ more are left out, since at small widths
        the next one is far away.
    """
    found: dict[int, Shape] = {}
    for ratio in ratios:
        # blocks of about equal size have n_layers * width^2 in common
        guess = (shape.n_layers * shape.width**2 / ratio**2) ** (1 / 3)
        near = [of_depth(shape, layers) for layers in range(max(2, int(guess) - 1), int(guess) + 3)]
        best = min(near, key=lambda one: abs(math.log(one.width / one.n_layers / ratio)))
        if abs(best.params_matmul / shape.params_matmul - 1) <= off:
            found[best.n_layers] = best
    return tuple(found[layers] for layers in sorted(found))


def with_experts(
    shape: Shape,
    *,
    count: int,
    top_k: int,
    granularity: int = 1,
    shared: int = 0,
    balance: Balance = "aux-loss",
    capacity: float | None = None,
) -> Shape:
    """Return the shape with experts in place of its feed-forward, of the same active parameters.

    Experts are cut finer as DeepSeekMoE does (Dai et al. 2024, https://arxiv.org/abs/2401.06066): of `count`
    experts a token would meet `top_k`; each is cut into `granularity` parts, and of all parts `shared` are
    met by every token. The router's matrix is paid for by narrower experts.

    Parameters
    ----------
    shape
        A dense shape.
    count, top_k
        Experts before the cut, and those of them that a token meets.
    granularity
        Parts that each is cut into.
    shared
        Parts that every token meets; they count as met and as parts.
    balance, capacity
        See `Experts`.

    Raises
    ------
    InputError
        If too many are shared, or the router alone is larger than the feed-forward.
    """
    met, parts = top_k * granularity, count * granularity
    if not 0 <= shared < met:
        raise InputError(
            f"experts: {shared} of the {met} parts that a token meets cannot be shared",
            hint="Share fewer, so that at least one is chosen.",
        )
    matrices = 3 if shape.gated else 2
    width = (shape.feed_forward - (parts - shared) / matrices) / met
    if width < 1:
        raise InputError(
            f"experts: a router of {parts - shared} experts takes the place of the whole feed-forward of "
            f"{shape.feed_forward}",
            hint="Take fewer or coarser experts, or a wider shape.",
        )
    experts = Experts(
        count=parts - shared,
        top_k=met - shared,
        width=_rounded(width),
        shared=shared,
        balance=balance,
        capacity=capacity,
    )
    return replace(shape, experts=experts)


def _rounded(width: float) -> int:
    """Round to a multiple of 8, which devices like, where that is within 2%; else to a whole number."""
    eights = 8 * round(width / 8)
    return eights if abs(eights / width - 1) < 0.02 else round(width)


def _heads(width: int) -> int:
    wanted = width / (16 if width < 64 else 32)
    options = [heads for heads in range(1, width) if width % heads == 0 and (width // heads) % 2 == 0]
    return min(options, key=lambda heads: (abs(heads - wanted), heads))


@cache
def family(vocabulary: int, context: int) -> tuple[Shape, ...]:
    """All members in order of size."""
    shapes = [make_shape(width, depth, vocabulary, context) for width in WIDTHS for depth in depths(width)]
    return tuple(sorted(shapes, key=lambda shape: shape.params_matmul))


@cache
def _sizes(vocabulary: int, context: int) -> tuple[int, ...]:
    return tuple(shape.params_matmul for shape in family(vocabulary, context))


def nearest_shape(params_matmul: float, vocabulary: int, context: int) -> Shape:
    """Return the member whose size is closest in ratio."""
    above = bisect(_sizes(vocabulary, context), params_matmul)
    neighbours = family(vocabulary, context)[max(0, above - 1) : above + 1]

    def distance(shape: Shape) -> float:
        ratio = shape.params_matmul / params_matmul
        return max(ratio, 1 / ratio)

    return min(neighbours, key=distance)
