"""How much memory one call takes: weights, cache or state, the tensors alive at the worst moment, logits.

Activations of a block live only while it runs, so that the peak is that of one block and not of their sum:
the largest of what is alive inside attention, inside the feed-forward and inside a scan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from scalescope.cost.anatomy import Anatomy, Side
from scalescope.cost.batching import batches_in
from scalescope.cost.calls import (
    ACTIVATION_SIZE,
    WEIGHT_SIZE,
    Product,
    Scores,
    cache_elements,
    count_call,
    score_elements,
)
from scalescope.cost.pairs import BIASED, STATEFUL
from scalescope.cost.streams import Stream, streams_of
from scalescope.points import Attention, Dtype, Workload

Loading = Literal["same", "converted"]
"""Whether the file holds the type that runs, or fp32 that is converted while both are there."""

FP32 = 4
LONG = 8

SOFTMAX_COPIES = 2
"""Copies of the scores in fp32 while `eager` normalises them: what goes in and what comes out."""

INNER_COPIES = 3
"""Copies of a feed-forward's inner activations at once: gate, other half, product."""

SCAN_COPIES = 3
"""States of every token at once in a scan that is not fused: decay, input, running state."""

SCAN_MODELS = frozenset({"mamba", "falcon_mamba", "jamba", "zamba"})
"""Types whose scan in plain torch lays out the states of every token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """One tensor, or several alike, alive at the worst moment."""

    name: str
    bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes of one call, parts apart; before calibration."""

    weights: float
    """Parameters as they run; embeddings and norms stay in fp32 under int8."""
    cache: float
    """Keys and values, or states, at the end of the call."""
    activations: float
    """Of the worst moment, without cache and logits."""
    logits: float
    load_peak: float
    """While the weights are loaded."""
    alive: tuple[Alive, ...] = ()
    """What `activations` is made of."""
    moment: str = ""
    """Where the worst is: `attention`, `feed-forward`, `scan`."""

    @property
    def peak(self) -> float:
        """Highest of loading and running."""
        return max(self.load_peak, self.weights + self.cache + self.activations + self.logits)


def memory_of_call(
    anatomy: Anatomy,
    workload: Workload,
    *,
    dtype: Dtype,
    attention: Attention,
    loading: Loading = "same",
) -> MemoryEstimate:
    """Estimate the memory of one call from what a block holds.

    Parameters
    ----------
    anatomy
        Of the model.
    workload
        One call; a decode is its prompt's prefill and the cache at its end.
    dtype
        Of weights and activations.
    attention
        Implementation: `eager` writes the scores out.
    loading
        Whether the weights are converted while they are loaded.
    """
    whole = _first_pass(workload)
    moments = _moments(anatomy, whole, dtype, attention)
    moment, alive = max(moments.items(), key=lambda item: sum(one.bytes for one in item[1]))
    size = ACTIVATION_SIZE[dtype]
    weights = weight_bytes(anatomy, dtype, head=workload.head or workload.kind == "decode")
    head = streams_of(anatomy, whole).get("head")
    return MemoryEstimate(
        weights=weights,
        cache=cache_elements(anatomy, workload) * size,
        activations=sum(one.bytes for one in alive),
        logits=head.computed * anatomy.vocabulary * size if head else 0.0,
        load_peak=_load_peak(anatomy, dtype, loading, weights, workload),
        alive=tuple(sorted(alive, key=lambda one: -one.bytes)),
        moment=moment,
    )


def weight_bytes(anatomy: Anatomy, dtype: Dtype, *, head: bool) -> float:
    """Bytes of the parameters as they run."""
    params = anatomy.params_with_head if head else anatomy.params
    if dtype != "int8":
        return float(params * WEIGHT_SIZE[dtype])
    matrices = sum(one.params for one in anatomy.matrices if head or one.side != "head")
    quantised = min(matrices, params)
    return float(quantised * WEIGHT_SIZE["int8"] + (params - quantised) * FP32)


def _first_pass(workload: Workload) -> Workload:
    """The largest pass of a call; a decode needs most while its prompt is read."""
    batch = max(batches_in(workload), key=lambda one: one.computed)
    lengths = batch.lengths if workload.lengths else ()
    one = replace(workload, lengths=lengths, batch=len(batch.lengths))
    return replace(one, kind="prefill", head=True) if workload.kind == "decode" else one


def _load_peak(anatomy: Anatomy, dtype: Dtype, loading: Loading, weights: float, workload: Workload) -> float:
    if dtype == "int8":
        full = weight_bytes(anatomy, "fp32", head=workload.head)
        return full + sum(one.params for one in anatomy.matrices) * WEIGHT_SIZE["int8"]
    if loading == "converted":
        return weights + weight_bytes(anatomy, "fp32", head=workload.head)
    return weights


def _moments(
    anatomy: Anatomy, workload: Workload, dtype: Dtype, attention: Attention
) -> dict[str, list[Alive]]:
    streams, size = streams_of(anatomy, workload), ACTIVATION_SIZE[dtype]
    count = count_call(anatomy, workload, attention=attention, dtype=dtype)
    moments: dict[str, list[Alive]] = {}
    for side in ("encoder", "decoder", "image"):
        if side not in streams or not any(one.side == side for one in count.products):
            continue
        stream = streams[side]
        always = _always(anatomy, side, stream, workload, attention, size)
        own = [one for one in count.attention if one.layers.side == side]
        for scores in own:
            alive = _attention(anatomy, scores, stream, attention, size)
            alive += [_relative(one, scores, attention, size) for one in own if one.layers.value_size == 0]
            moments[f"{side} {scores.layers.span}"] = always + alive
        products = [one for one in count.products if one.side == side]
        moments[f"{side} feed-forward"] = always + _inner(anatomy, products, stream, size)
    return moments or {"nothing": [Alive(name="nothing", bytes=0.0)]}


def _always(
    anatomy: Anatomy, side: Side, stream: Stream, workload: Workload, attention: Attention, size: int
) -> list[Alive]:
    """What lives through a whole block: the residual, what was normed, a mask, a bias on the scores."""
    hidden = stream.computed * anatomy.hidden * size
    square, texts = stream.width * stream.reach, stream.rows
    heads = max((one.n_heads for one in anatomy.attention if one.side == side), default=0)
    alive = [Alive(name="hidden, twice", bytes=2 * hidden)]
    if workload.batching in ("padded", "bucketed") or (attention == "eager" and side == "decoder"):
        alive.append(Alive(name="mask", bytes=texts * square * size))
    if anatomy.positions.kind in BIASED:
        alive.append(Alive(name="bias on the scores", bytes=heads * square * size))
    return alive


def _attention(
    anatomy: Anatomy, scores: Scores, stream: Stream, attention: Attention, size: int
) -> list[Alive]:
    layers, tokens = scores.layers, stream.computed
    if layers.span in STATEFUL:
        copies = SCAN_COPIES * tokens if anatomy.model_type in SCAN_MODELS else float(scores.rows)
        return [Alive(name="states of a scan", bytes=copies * layers.state * FP32)]
    value = layers.head_size if layers.value_size is None else layers.value_size
    keys = scores.keys * scores.rows
    return [
        Alive(name="queries", bytes=tokens * layers.n_heads * layers.head_size * size),
        Alive(name="keys, values", bytes=keys * layers.n_heads * (layers.head_size + value) * size),
        Alive(name="attended values", bytes=tokens * layers.n_heads * value * size),
        Alive(name="scores, softmax in fp32", bytes=_score_bytes(scores, attention, size)),
    ]


def _relative(relative: Scores, scores: Scores, attention: Attention, size: int) -> Alive:
    """Scores of positions: layers without values, gathered with an index of long integers."""
    many = relative.layers.count / max(1, scores.layers.count)
    each = scores.pairs * relative.layers.n_heads * (size + LONG)
    return Alive(name="scores of relative positions", bytes=many * each if attention == "eager" else 0.0)


def _score_bytes(scores: Scores, attention: Attention, size: int) -> float:
    narrow = size if size < FP32 else 0
    return score_elements(scores, attention) * (SOFTMAX_COPIES * FP32 + narrow)


def _inner(anatomy: Anatomy, products: list[Product], stream: Stream, size: int) -> list[Alive]:
    """The widest inner activation; routed tokens are spread over the experts that they meet."""
    layers = max(1, anatomy.n_layers)
    widest = 0.0
    for one in products:
        spread = one.runs / layers if one.rows < stream.computed else 1.0
        widest = max(widest, one.rows * one.columns * max(1.0, spread))
    return [Alive(name="inner activations", bytes=INNER_COPIES * widest * size)]
