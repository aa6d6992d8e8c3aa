"""What one collective inside a layer carries, and how often it starts: shared by `step_links` and `traffic`.

Everything is bytes of one rank and one pass, for numbers or for columns of layouts.

How often depends on the program. The step-time model counts as Megatron-LM does, which its constants were
calibrated with: a block that is computed again starts all collectives of its forward pass again, and context
parallelism hands keys and values round a ring, again on the way back, and their gradients after them. The own
trainer stops computing again when all that a gradient needs is there, which leaves a block's last reduction
out, and keeps the keys and values that it gathered.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.shape import Shape

Bytes = TypeVar("Bytes", float, NDArray[np.float64])
Degree = int | NDArray[np.int64]

REDUCTIONS = 4
"""All-reduces of the stream in a layer, two forward and two back (https://arxiv.org/abs/1909.08053); with
sequence parallelism as many gathers and as many scatters (https://arxiv.org/abs/2205.05198)."""
REDUCTIONS_AGAIN = 2
"""More of them where all of the block's forward pass is made again."""
RING_TURNS = 3
"""Times that keys and values, or their gradients, go round a ring: forward, and twice on the way back."""
EXCHANGES = 4
"""All-to-alls of a layer of experts: to them and back, and the same for the gradients."""
EXCHANGES_AGAIN = 2
SHARD_GATHERS = 2
"""Gathers of a layer's weights in one pass where they are forgotten between forward and backward."""


def keys_and_values(shape: Shape, stream: Bytes, tp: Degree) -> Bytes:
    """Return the bytes of the keys and values of a rank's own tokens in one layer.

    Parameters
    ----------
    stream
        Bytes of the activations between layers in one pass of one rank.
    tp
        Ranks that share the heads.
    """
    keys = 2.0 * shape.n_kv_heads * shape.head_size / shape.width / tp
    return keys * stream  # type: ignore[return-value]


def sent_to_experts(shape: Shape, stream: Bytes, tp: Degree) -> Bytes:
    """Return the bytes that a rank gives into one all-to-all: every token as often as it has experts."""
    assert shape.experts is not None
    return shape.experts.top_k * stream / tp  # type: ignore[return-value]
