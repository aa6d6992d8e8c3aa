"""What one call of a model costs: FLOP, matrix products, bytes moved and cached.

Useful FLOP are those that the mathematics needs for the tokens that were asked for; computed FLOP are those
that the implementation spends, padding and masked scores included. Norms, activations and rotations are
bytes, not FLOP: they wait for memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scalescope.cost.anatomy import Anatomy, AttentionLayers, Matrix, Side
from scalescope.cost.batching import batches_in
from scalescope.cost.pairs import SCAN_FLOP, STATEFUL, computed_pairs, pair_flop, useful_pairs
from scalescope.cost.streams import Stream, cross_keys, streams_of
from scalescope.points import Attention, Dtype, Workload

WEIGHT_SIZE: Mapping[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
"""Bytes of one element of a matrix; what is not a matrix stays in fp32 under int8."""

ACTIVATION_SIZE: Mapping[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Bytes of one activation: int8 quantises them only inside a product."""

LAYER_PASSES = 10
"""Times that one block reads or writes its hidden state outside products: norms, residuals, head layout."""

MIDDLE_PASSES = 4
"""Times that one block reads or writes its feed-forward's inner activations outside products."""

SCORE_PASSES = 8
"""Times that `eager` reads or writes the scores: scale, mask, softmax, its copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One shape of matrix product and how often it runs in a call."""

    rows: float
    """Tokens that are multiplied."""
    inner: int
    columns: int
    runs: float
    side: Side

    @property
    def flop(self) -> float:
        """Of all runs."""
        return 2.0 * self.rows * self.inner * self.columns * self.runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Attention scores (or a scan) of equal layers in one call."""

    layers: AttentionLayers
    useful_flop: float
    computed_flop: float
    pairs: float
    """Computed ones of one head and layer, over all texts."""
    queries: float
    """Computed ones of one row."""
    keys: float
    rows: int
    """Of the tensors, over all passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCount:
    """One call counted; for decode, one output token of every text at the mean context."""

    matrices: float
    """Useful FLOP of the bare model's matrices."""
    scores: float
    """Useful FLOP of attention scores and weighted values."""
    scan: float
    """Useful FLOP of recurrent and linear attention outside matrices."""
    head: float
    """Useful FLOP of the head: last token for prefill, all tokens for encode, each new token for decode."""
    computed: float
    """FLOP really spent."""
    by_side: Mapping[Side, float]
    """Useful FLOP of the matrices by side."""
    tokens: float
    """Computed new tokens, of the side that sees most."""
    weight_bytes: float
    """Weights read: an expert counts if a token is expected to meet it."""
    activation_bytes: float
    """Read and written between products."""
    score_bytes: float
    """Of these, for scores that are written out."""
    cache_bytes: float
    """Keys and values, or states, kept at the end of the call."""
    passes: int
    """How often the model runs in one call."""
    products: tuple[Product, ...]
    attention: tuple[Scores, ...]

    @property
    def flop(self) -> float:
        """Useful FLOP in all."""
        return self.matrices + self.scores + self.scan + self.head

    @property
    def intensity(self) -> float:
        """Useful FLOP for every byte of weights, cache and activations that moves."""
        return self.flop / (self.weight_bytes + self.activation_bytes + self.cache_bytes)


def count_call(
    anatomy: Anatomy, workload: Workload, *, attention: Attention, dtype: Dtype = "fp32"
) -> CallCount:
    """Count one call.

    Parameters
    ----------
    anatomy
        Of the model.
    workload
        One call; decode counts one output token.
    attention
        Implementation: which scores it computes and whether it writes them out.
    dtype
        Of weights and activations, for the bytes.
    """
    streams = streams_of(anatomy, workload)
    products = tuple(
        _product(matrix, streams[matrix.side]) for matrix in anatomy.matrices if matrix.side in streams
    )
    useful = {
        side: sum(matrix.flop_per_token for matrix in anatomy.matrices if matrix.side == side) * stream.useful
        for side, stream in streams.items()
    }
    scores = scores_of(anatomy, workload, attention=attention)
    pairs = [one for one in scores if one.layers.span not in STATEFUL]
    scans = [one for one in scores if one.layers.span in STATEFUL]
    size = ACTIVATION_SIZE[dtype]
    written = sum(score_elements(one, attention) * one.layers.count for one in pairs) * size * SCORE_PASSES
    return CallCount(
        matrices=sum(flop for side, flop in useful.items() if side != "head"),
        scores=sum(one.useful_flop for one in pairs),
        scan=sum(one.useful_flop for one in scans),
        head=useful.get("head", 0.0),
        computed=sum(one.flop for one in products) + sum(one.computed_flop for one in scores),
        by_side={side: flop for side, flop in useful.items() if flop},
        tokens=max(stream.computed for stream in streams.values()),
        weight_bytes=sum(
            _touched(matrix, streams[matrix.side]) for matrix in anatomy.matrices if matrix.side in streams
        )
        * WEIGHT_SIZE[dtype],
        activation_bytes=_moved(anatomy, streams, products) * size + written,
        score_bytes=written,
        cache_bytes=cache_elements(anatomy, workload) * size,
        passes=max(stream.passes for stream in streams.values()),
        products=products,
        attention=scores,
    )


def scores_of(anatomy: Anatomy, workload: Workload, *, attention: Attention) -> tuple[Scores, ...]:
    """Attention of every kind of layer that runs in a call."""
    streams = streams_of(anatomy, workload)
    return tuple(
        _scores(layers, streams[layers.side], anatomy, workload, attention)
        for layers in anatomy.attention
        if layers.side in streams
    )


def score_elements(scores: Scores, attention: Attention) -> float:
    """Scores that one layer writes out, over all heads; none where they are fused away."""
    if scores.layers.span in STATEFUL:
        return 0.0
    own = scores.layers.span in ("block", "hashed") or (
        scores.layers.span == "window" and scores.pairs < scores.rows * scores.queries * scores.keys
    )
    return scores.pairs * scores.layers.n_heads if attention == "eager" or own else 0.0


def cache_elements(anatomy: Anatomy, workload: Workload) -> float:
    """Elements cached for the texts of the largest pass at its end; none for encode."""
    if workload.kind == "encode" or not anatomy.causal:
        return 0.0
    batch = max(batches_in(workload), key=lambda one: one.tokens)
    texts, prompt = len(batch.lengths), batch.computed
    own = texts * workload.new_tokens + (texts if anatomy.encoder_decoder else prompt)
    total = 0.0
    for layers in anatomy.attention:
        if layers.side != "decoder":
            continue
        tokens = float(prompt if layers.span == "cross" else own)
        if layers.span == "window" and layers.window:
            tokens = min(tokens, texts * layers.window)
        width = 0 if layers.span in STATEFUL else _cached_width(layers)
        total += layers.count * (tokens * width + texts * layers.state)
    return total


def _cached_width(layers: AttentionLayers) -> int:
    if layers.cache_width is not None:
        return layers.cache_width
    value = layers.head_size if layers.value_size is None else layers.value_size
    return layers.n_kv_heads * (layers.head_size + value)


def _product(matrix: Matrix, stream: Stream) -> Product:
    # An expert sees its share of the tokens; a shared layer (share > 1) runs that often over all of them.
    runs = matrix.count * max(1.0, matrix.share) * stream.passes
    rows = stream.computed / stream.passes * min(1.0, matrix.share)
    if rows < 1:
        rows, runs = 1.0, runs * rows
    return Product(rows=rows, inner=matrix.rows, columns=matrix.columns, runs=runs, side=matrix.side)


def _touched(matrix: Matrix, stream: Stream) -> float:
    """Elements that all passes read."""
    if matrix.share >= 1:
        return float(matrix.params * matrix.share * stream.passes)
    met = 1 - (1 - matrix.share) ** (stream.computed / stream.passes)
    return float(matrix.params * met * stream.passes)


def _moved(anatomy: Anatomy, streams: Mapping[Side, Stream], products: tuple[Product, ...]) -> float:
    """Elements read and written around products: their in- and outputs, and what runs between them."""
    edges = sum(one.rows * (one.inner + one.columns) * one.runs for one in products)
    middle = anatomy.feed_forward * MIDDLE_PASSES + anatomy.hidden * LAYER_PASSES
    both: tuple[Side, ...] = ("encoder", "decoder")
    sides = [side for side in both if any(one.side == side for one in products)]
    layers = anatomy.n_layers / max(1, len(sides))
    return edges + sum(streams[side].computed * layers * middle for side in sides)


def _scores(
    layers: AttentionLayers, stream: Stream, anatomy: Anatomy, workload: Workload, attention: Attention
) -> Scores:
    cross = cross_keys(anatomy, workload) if layers.span == "cross" else None
    if layers.span in STATEFUL:
        each = float(SCAN_FLOP * layers.state * layers.count)
        useful, computed, pairs = stream.useful * each, stream.computed * each, 0.0
    else:
        pairs = computed_pairs(layers, stream, cross, anatomy=anatomy, workload=workload, attention=attention)
        useful = useful_pairs(layers, stream, cross) * pair_flop(layers)
        computed = pairs * pair_flop(layers)
    return Scores(
        layers=layers,
        useful_flop=useful,
        computed_flop=computed,
        pairs=pairs,
        queries=stream.width,
        keys=cross.reach if cross else stream.reach,
        rows=stream.rows,
    )
