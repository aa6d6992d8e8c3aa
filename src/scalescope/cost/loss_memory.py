"""Bytes that the trainer's own cross-entropy holds: logits of some tokens at a time, and gradients at once.

What the backward pass needs of a chunk of logits is computed while they are there
(`scalescope.training.blocks.cross_entropy`): the gradient of the head therefore stands beside the weights
from the way forward on, in single precision, whatever the logits are computed in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.shape import Shape

Floats = NDArray[np.float64]

LOSS_CHUNK = 2**25
"""Logits of one chunk on an accelerator, about, which needs large products: 128 MiB of single precision."""

WIDE = 4
"""Bytes of a number of single precision: logits, and sums of gradients."""

SHARED_LOSS_BYTES = 8
"""Of one logit where ranks share the vocabulary: itself and its exponential, of all tokens of a pass."""


def chunk_tokens(tokens: Floats, width: int, vocabulary: int, numbers: int = LOSS_CHUNK) -> Floats:
    """Return how many tokens go through the head at once: as many as make `numbers` logits.

    More where the stream of all tokens is larger than that, since then the chunk is not what counts.
    """
    most = np.maximum(1, np.maximum(numbers, tokens * width) // vocabulary)
    return np.asarray(np.minimum(tokens, most), dtype=np.float64)


def chunked_loss_bytes(
    shape: Shape,
    tokens: Floats,
    compute: int,
    *,
    copied: NDArray[np.bool_] | bool = True,
    numbers: int = LOSS_CHUNK,
) -> Floats:
    """Return the bytes at the fullest moment, beside what the head reads, its gradient and the weights.

    Parameters
    ----------
    shape
        What is trained.
    tokens
        Of one pass of a rank.
    compute
        Bytes of a number of the products.
    copied
        Whether the head is copied to such numbers; otherwise it is there in them already.
    numbers
        Logits of one chunk.
    """
    head = float(shape.width * shape.vocabulary)
    logits = chunk_tokens(tokens, shape.width, shape.vocabulary, numbers) * shape.vocabulary
    if compute >= WIDE:
        return np.asarray(head * WIDE + logits * WIDE)
    # the gradient of the logits in the products' numbers, and the product to be added to that of the head
    adding = logits * (WIDE + compute) + head * compute
    return np.asarray(head * WIDE + np.where(copied, head * compute, 0.0) + adding)
