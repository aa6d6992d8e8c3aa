"""How texts of unequal length become tensors, and what share of those is padding, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from scalescope.cost.anatomy import Anatomy
from scalescope.errors import InputError, nearest
from scalescope.points import Batching, Workload

MOST = 2**31 - 1
"""Longest text, and most texts: positions are 32-bit in the kernels."""

REPLY = 128
"""Most tokens of the decoder's side in one pass of an encoder-decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Texts that pass through a model together."""

    lengths: tuple[int, ...]
    packed: bool = False
    """Whether they lie end to end in one row, instead of one row each."""

    @property
    def rows(self) -> int:
        """Of the tensor."""
        return 1 if self.packed else len(self.lengths)

    @property
    def width(self) -> int:
        """Of the tensor: the longest text, or all of them."""
        return sum(self.lengths) if self.packed else max(self.lengths)

    @property
    def tokens(self) -> int:
        """Without padding."""
        return sum(self.lengths)

    @property
    def computed(self) -> int:
        """Tokens of the tensor, padding included."""
        return self.rows * self.width

    @property
    def padded(self) -> bool:
        """Whether any of it is padding."""
        return self.computed > self.tokens


def batches_of(lengths: Sequence[int], batch: int, batching: Batching) -> tuple[Batch, ...]:
    """Cut texts into batches.

    Parameters
    ----------
    lengths
        Tokens of every text, in the order of their arrival.
    batch
        Texts of one batch; the last one may have fewer.
    batching
        `single` takes texts that share a length (one by one if `batch` is 1); `padded` fills each batch up to
        its longest text; `bucketed` sorts first, longest first, so that a batch that does not fit fails at
        once; `packed` lays the texts of a batch end to end.

    Raises
    ------
    InputError
        If a length or `batch` is below 1 or beyond 2^31 - 1, `batching` is unknown, or `single` would have to
        pad.
    """
    check_count(batch, "batch")
    if not lengths:
        raise InputError("no text to batch", hint="Give at least one length.")
    for length in lengths:
        check_count(length, "length")
    if batching not in get_args(Batching):
        raise InputError(f"unknown batching {batching!r}", hint=nearest(batching, get_args(Batching)))
    ordered = sorted(lengths, reverse=True) if batching == "bucketed" else list(lengths)
    cut = [tuple(ordered[at : at + batch]) for at in range(0, len(ordered), batch)]
    made = tuple(Batch(lengths=part, packed=batching == "packed") for part in cut)
    if batching == "single" and any(one.padded for one in made):
        raise InputError(
            "texts of unequal length cannot share a batch without padding",
            hint="Choose padded, bucketed or packed, or batch 1.",
        )
    return made


def check_count(value: int, what: str) -> int:
    """Return a length or a number of texts that is one.

    Raises
    ------
    InputError
        If it is below 1 or beyond 2^31 - 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise InputError(
            f"{what} must be a whole number from 1 to {MOST}, got {value!r}",
            hint="Such as 128,512,1024,2048.",
        )
    return value


def waste_of(batches: Sequence[Batch]) -> float:
    """Return the share of the computed tokens that is padding, 0 to 1."""
    return 1 - sum(one.tokens for one in batches) / sum(one.computed for one in batches)


def batches_in(workload: Workload) -> tuple[Batch, ...]:
    """Return the passes that one call of a workload consists of, in order.

    Raises
    ------
    InputError
        As `batches_of`.
    """
    if workload.lengths:
        return batches_of(workload.lengths, workload.batch, workload.batching)
    check_count(workload.length, "length")
    check_count(workload.batch, "batch")
    lengths = (workload.length,) * workload.batch
    return (Batch(lengths=lengths, packed=workload.batching == "packed"),)


def reply_length(anatomy: Anatomy, length: int) -> int:
    """Return the tokens of the decoder's side in one pass of an encoder-decoder over a text of `length`.

    As long as the text, but not above `REPLY` nor the decoder's own limit: a summary or an answer is short
    however long the text is, so that the pass scales with the encoder. 0 without a decoder's side.
    """
    if not anatomy.encoder_decoder:
        return 0
    positions = anatomy.positions
    limit = positions.decoder_limit or positions.limit or REPLY
    return min(length, REPLY, limit)


def computed_width(anatomy: Anatomy, width: int) -> int:
    """Return the tokens of a row that a class really computes: some pad up to a multiple by themselves.

    Longformer and LED always pad to their window; BigBird and Reformer fall back to full attention, without
    padding, where a text is short.
    """
    multiple = anatomy.positions.multiple_of
    if multiple <= 1:
        return width
    short = 0
    for layers in anatomy.attention:
        if layers.span == "block":
            # Two global and three sliding blocks beside the random ones, which count twice here.
            short = max(short, 2 * (layers.window or 0) - 5 * multiple)
        elif layers.span == "hashed":
            short = max(short, multiple)
    return width if width <= short else -(-width // multiple) * multiple


def computed_tokens(anatomy: Anatomy, workload: Workload) -> int:
    """Return the tokens that one call computes, padding included: of the prompts for decode."""
    return sum(one.rows * computed_width(anatomy, one.width) for one in batches_in(workload))
