"""The shapes a study may train: one family from a few thousand parameters up, depth growing with width."""

from __future__ import annotations

import math
from bisect import bisect
from functools import cache

from scalescope.cost import Shape

WIDTHS = (
    *range(8, 64, 4),
    *range(64, 128, 8),
    *range(128, 256, 16),
    *range(256, 512, 32),
    *range(512, 2049, 128),
)


def depths(width: int) -> tuple[int, ...]:
    """Return the depths of a width: the rule `1.3 + width / 45` rounded, both ways where it is in between.

    At least two layers, since one cannot learn to copy (Olsson et al. 2022, https://arxiv.org/abs/2209.11895).
    """
    rule = max(2.0, 1.3 + width / 45)
    return tuple(sorted({math.floor(rule + 0.3), math.ceil(rule - 0.3)}))


def make_shape(width: int, n_layers: int, vocabulary: int, context: int) -> Shape:
    """Return a member of the family.

    Heads of about 16 below width 64 and of about 32 above; feed-forward of 8/3 of the width, as three
    matrices then hold as much as two of 4.
    """
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=_heads(width),
        n_kv_heads=_heads(width),
        feed_forward=max(8, round(8 * width / 3 / 8) * 8),
        vocabulary=vocabulary,
        context=context,
    )


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
