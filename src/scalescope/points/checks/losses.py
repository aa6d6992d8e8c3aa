"""Losses that are not nats per token: bits, bits per byte, perplexity, a logarithm."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.evidence import Evidence
from scalescope.points.conversions import BITS
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.units import format_significant

_MOST_NATS = 12.0
"""What guessing among 160,000 tokens costs."""
_SUBWORDS = 1000
"""A vocabulary above this is one of words or pieces of words, not of bytes or letters."""


def about_bits(table: Evidence) -> Iterable[Finding]:
    """Tell a loss that looks like bits per token or per byte."""
    if not table.has("loss"):
        return
    text, unit = _beside_bits_per_byte(table) or _beside_another(table) or _above_guessing(table) or ("", "")
    if text:
        yield Finding(
            code="RUN013", text=text, hint=f"Nats per token are meant; if so, give units loss={unit}."
        )


def _beside_bits_per_byte(table: Evidence) -> tuple[str, str] | None:
    if not table.has("bits_per_byte"):
        return None
    ratio = _steady_ratio(table.runs.loss, table.runs["bits_per_byte"])
    if ratio is not None and abs(ratio - 1) < 1e-3:
        return "The loss equals bits_per_byte in every row.", "bits/byte,bytes_per_token=..."
    return None


def _beside_another(table: Evidence) -> tuple[str, str] | None:
    for name, column in table.numbers_in_rest():
        ratio = _steady_ratio(table.runs.loss, column)
        if ratio is not None and abs(ratio * BITS - 1) < 1e-3:
            return f"The loss is 1.4427 times {name!r} in every row, as bits are to nats.", "bits"
    return None


def _above_guessing(table: Evidence) -> tuple[str, str] | None:
    rows, (loss, vocabulary) = table.known("loss", "vocabulary")
    if not len(rows) or (vocabulary < 2).any():
        return None
    middle = float(np.median(loss / np.log(vocabulary)))
    # Up to 1/ln 2 times what guessing costs in nats, it can be a loss in bits.
    if not 1 < middle <= 1 / BITS + 1e-9 or float(np.median(loss)) > _MOST_NATS:
        return None
    guess = format_significant(float(np.median(np.log(vocabulary))))
    return f"The median loss is above {guess} nats, what guessing costs with this vocabulary.", "bits"


def _steady_ratio(one: Array, other: Array) -> float | None:
    """The ratio of two columns where it is the same in three rows or more; else None."""
    with np.errstate(all="ignore"):
        ratio = one / other
    known = ratio[np.isfinite(ratio)]
    if known.size < max(3, len(ratio) // 2) or np.unique(one).size < 3:
        return None
    middle = float(np.median(known))
    return middle if np.all(np.abs(known - middle) <= 2e-3 * abs(middle)) else None


def about_perplexity(table: Evidence) -> Iterable[Finding]:
    """Tell a loss that looks like a perplexity."""
    middle = table.median("loss")
    why = ""
    if middle > _MOST_NATS:
        why = "which is implausibly much"
    elif table.has("loss"):
        loss, expected = _expected(table)
        if len(loss) and np.median(loss / expected) > 1.8 and _near(np.log(loss), expected, 0.25):
            usual = format_significant(float(np.median(expected)))
            why = f"and its logarithm is near the {usual} nats of such models"
        other = _logarithm_of(table.runs.loss, table)
        why = f"and it is the exponential of {other!r}" if other else why
    if why:
        yield Finding(
            code="RUN014",
            text=f"The median loss is {format_significant(middle)}, {why}.",
            hint="Nats per token are meant; if it is perplexity, give units loss=perplexity.",
        )


def _logarithm_of(loss: Array, table: Evidence) -> str:
    """Another column that is the logarithm of the loss in every row."""
    for name, column in table.numbers_in_rest():
        good = np.isfinite(column) & np.isfinite(loss)
        if good.sum() < 3 or np.unique(loss[good]).size < 3:
            continue
        if np.all(np.abs(np.log(loss[good]) - column[good]) <= 2e-3 * np.abs(column[good])):
            return name
    return ""


def about_logarithm(table: Evidence) -> Iterable[Finding]:
    """Tell a loss whose logarithm seems to have been taken."""
    loss, expected = _expected(table)
    if not len(loss) or not table.median("vocabulary") >= _SUBWORDS:
        return
    if _near(loss, np.log(expected), 0.15) and np.median(loss / expected) < 0.6:
        yield Finding(
            code="RUN015",
            text=f"The median loss is {format_significant(float(np.median(loss)))}, near the logarithm of "
            f"the {format_significant(float(np.median(expected)))} nats that such models have.",
            hint="If the logarithm of the loss was taken, give units loss=log.",
        )


def _expected(table: Evidence) -> tuple[Array, Array]:
    """Loss of every row, and that of language models of its size and data by Hoffmann et al. (2022), nats.

    Empty outside the range of their law.
    """
    none = np.zeros(0), np.zeros(0)
    if table.derived in (table.runs.count, "tokens"):
        return none
    _, (loss, N, D) = table.known("loss", "size", "tokens")
    if not len(N) or np.median(N) < 1e7 or np.median(D) < 1e8:
        return none
    return loss, np.asarray(1.69 + 406.4 * N**-0.34 + 410.7 * D**-0.28)


def _near(one: Array, other: Array, share: float) -> bool:
    """Whether most rows agree to a share of their value."""
    return bool(np.mean(np.abs(one - other) < share * np.abs(other)) >= 0.8)
