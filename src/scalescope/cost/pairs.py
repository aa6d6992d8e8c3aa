r"""Pairs of query and key: those that attention needs, and those that an implementation computes.

Every pair and head costs :math:`2 (d_\text{key} + d_\text{value})` FLOP: one product for the score, one for
the weighted value. A causal text of :math:`L` tokens needs :math:`L (L + 1) / 2` pairs; `eager` computes all
:math:`L^2` and throws half away, `sdpa` skips what a causal mask hides as long as nothing else is masked.
"""

from __future__ import annotations

from collections import Counter

from scalescope.cost.anatomy import Anatomy, AttentionLayers, Span
from scalescope.cost.streams import Stream
from scalescope.points import Attention, Workload

SCAN_FLOP = 6
"""FLOP for every element of a state and token: decay, input and read-out, a product and a sum each."""

BIASED = frozenset({"alibi", "relative"})
"""Positions that enter as a matrix added to the scores, so that nothing can be skipped."""

SPARSE: frozenset[Span] = frozenset({"block", "hashed"})
"""Spans that always have an implementation of their own."""

STATEFUL: frozenset[Span] = frozenset({"linear", "recurrent"})
"""Spans that keep a state and have no pairs."""

FLEX_BLOCK = 128
"""Side of the blocks that `flex` computes or skips."""


def useful_pairs(layers: AttentionLayers, stream: Stream, cross: Stream | None) -> float:
    """Pairs that one layer and head needs, over all texts."""
    seen = cross or stream
    return sum(
        _pairs(layers, queries, keys) for queries, keys in zip(stream.queries, seen.keys, strict=False)
    )


def computed_pairs(
    layers: AttentionLayers,
    stream: Stream,
    cross: Stream | None,
    *,
    anatomy: Anatomy,
    workload: Workload,
    attention: Attention,
) -> float:
    """Pairs that one layer and head really computes, over all texts."""
    seen = cross or stream
    if workload.batching == "packed" and attention == "flex":
        return useful_pairs(layers, stream, cross)
    call = (layers, anatomy, workload, attention)
    # Rows of all passes are few and mostly alike: count each shape once.
    shapes = Counter(zip(stream.widths, seen.reaches, strict=False))
    return sum(times * _row(*call, width, reach) for (width, reach), times in shapes.items())


def _row(
    layers: AttentionLayers,
    anatomy: Anatomy,
    workload: Workload,
    attention: Attention,
    width: float,
    reach: float,
) -> float:
    """Computed pairs of one row of a tensor."""
    if layers.span in STATEFUL:
        return 0.0
    if layers.span in SPARSE:
        return width * min(reach, layers.window or reach)
    if layers.span == "window" and has_own_windows(anatomy):
        return width * _chunks(reach, float(layers.window or reach))
    if attention == "flex":
        return min(width * reach, _pairs(layers, width, reach) + width * FLEX_BLOCK)
    if attention == "sdpa" and _skips(layers, anatomy, workload, reach):
        return _pairs(layers, width, reach)
    return width * reach


def has_own_windows(anatomy: Anatomy) -> bool:
    """Whether windows are computed as overlapping chunks and the text is padded to them (Longformer, LED)."""
    return anatomy.positions.multiple_of > 1


def pair_flop(layers: AttentionLayers) -> float:
    """FLOP of one pair in all heads of all these layers."""
    value = layers.head_size if layers.value_size is None else layers.value_size
    return 2.0 * layers.n_heads * (layers.head_size + value) * layers.count


def _skips(layers: AttentionLayers, anatomy: Anatomy, workload: Workload, reach: float) -> bool:
    if anatomy.positions.kind in BIASED or workload.batching in ("padded", "bucketed", "packed"):
        return False
    if layers.span == "window":
        return layers.side == "decoder" and reach <= (layers.window or reach)
    return layers.span == "causal"


def _chunks(reach: float, window: float) -> float:
    # Chunks of two half windows overlap by one: twice the window for scores, one and a half for values.
    return (min(reach, 2 * window) + min(reach, 1.5 * window)) / 2


def _pairs(layers: AttentionLayers, queries: float, keys: float) -> float:
    if layers.span in STATEFUL:
        return 0.0
    window = min(keys, layers.window or keys)
    if layers.span in ("full", "cross"):
        return queries * keys
    if layers.span in SPARSE or (layers.span == "window" and layers.side != "decoder"):
        return queries * window
    return _causal(queries, keys, keys if layers.span == "causal" else window)


def _causal(queries: float, keys: float, window: float) -> float:
    """Sum of min(i, window) for the last `queries` of i = 1 .. `keys`."""

    def upto(i: float) -> float:
        i = max(i, 0.0)
        return i * (i + 1) / 2 if i <= window else window * (window + 1) / 2 + (i - window) * window

    return upto(keys) - upto(keys - queries)
