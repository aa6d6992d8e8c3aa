r"""Time of one call as a sum of parts, each from a measured rate, before any correction.

.. math:: t = \sum_\text{matrices} \frac{F}{R(m, k, n)} + t_\text{attention} + \frac{\text{bytes}}{B}
   + n_\text{launches} t_\text{launch} + t_\text{scan}

What each part misses (layouts, other operators, cache misses) is alike for many models, and a factor fitted
to cells that were measured corrects it.
"""

from __future__ import annotations

from scalescope.cost.anatomy import Anatomy
from scalescope.cost.calls import ACTIVATION_SIZE, CallCount, Scores, count_call, score_elements
from scalescope.cost.pairs import STATEFUL
from scalescope.cost.rates import Curve, MatmulTable, Rates
from scalescope.points import Attention, Dtype, Workload

PARTS: tuple[str, ...] = ("matrices", "fused attention", "written scores", "elementwise", "launches", "scan")
"""Names of the parts, in the order in which `parts_of_time` gives them."""

CACHE_PASSES = 3
"""Reads and writes of the whole cache for one output token: it is appended to by copying, then read."""

SCAN_PASSES = 6
"""Reads and writes of every token's state in a scan that is not fused."""

SCAN_CHUNKS = {
    "mamba2": 256,
    "bamba": 256,
    "zamba2": 256,
    "falcon_h1": 256,
    "granitemoehybrid": 256,
    "nemotron_h": 128,
    "qwen3_next": 64,
    "olmo_hybrid": 64,
    "qwen3_5": 64,
    "minimax": 256,
}
"""Tokens that one step of a chunked scan takes; other types take one at a time in plain torch."""

SCAN_OPERATIONS = 5
"""Operations of one step of a scan."""


def parts_of_time(
    anatomy: Anatomy,
    workload: Workload,
    *,
    rates: Rates,
    dtype: Dtype,
    attention: Attention,
    count: CallCount | None = None,
) -> tuple[float, ...] | None:
    """Seconds of each of `PARTS`; None if this type was not measured on the machine."""
    table, fused = rates.matmul.get(dtype), rates.sdpa.get(dtype) or rates.sdpa.get("fp32")
    if table is None or fused is None:
        return None
    count = count or count_call(anatomy, workload, attention=attention, dtype=dtype)
    written = [one for one in count.attention if score_elements(one, attention)]
    others = [one for one in count.attention if not score_elements(one, attention)]
    return (
        sum(one.flop / table.rate(one.rows, one.inner, one.columns) for one in count.products),
        sum(one.computed_flop / fused.at(one.keys) for one in others if one.layers.span not in STATEFUL),
        sum(_written(one, table) for one in written)
        + _copy(rates.copy, count.score_bytes, count.score_bytes),
        _moved(anatomy, workload, count, rates.copy, ACTIVATION_SIZE[dtype]),
        anatomy.launches * count.passes * rates.launch_s,
        _scan(anatomy, others, rates),
    )


def _written(scores: Scores, table: MatmulTable) -> float:
    """Two batched products, a thin one in and a thin one out."""
    if not scores.computed_flop:
        return 0.0
    size, queries = scores.layers.head_size, scores.queries
    keys = max(1.0, scores.pairs / max(1.0, scores.rows * queries))
    return (
        scores.computed_flop
        / 2
        * sum(1 / table.rate(queries, inner, columns) for inner, columns in ((size, keys), (keys, size)))
    )


def _moved(anatomy: Anatomy, workload: Workload, count: CallCount, copy: Curve, size: int) -> float:
    """Elementwise passes over activations, and over the cache for decode."""
    tensor = count.tokens * anatomy.hidden * size
    seconds = _copy(copy, count.activation_bytes - count.score_bytes, tensor)
    if workload.kind == "decode":
        seconds += CACHE_PASSES * count.cache_bytes / copy.rates[-1]
    return seconds


def _scan(anatomy: Anatomy, scores: list[Scores], rates: Rates) -> float:
    chunk = SCAN_CHUNKS.get(anatomy.model_type, 1)
    seconds = 0.0
    for one in scores:
        if one.layers.span in STATEFUL:
            steps = one.layers.count * max(1.0, one.queries / chunk)
            moved = SCAN_PASSES * one.queries * one.rows * one.layers.state * one.layers.count * 4.0
            seconds += steps * SCAN_OPERATIONS * rates.launch_s + _copy(rates.copy, moved, moved)
    return seconds


def _copy(copy: Curve, moved: float, tensor: float) -> float:
    return moved / copy.at(max(1.0, tensor)) if moved else 0.0
