"""Words and n-grams as 64-bit numbers, computed on whole documents at once.

A word is a run of letters, digits and underscores in lower case. Each has a 64-bit number from BLAKE2b, which
does not change between processes and versions. The number of an n-gram combines those of its words in order;
two n-grams are taken for one with a probability of about :math:`2^{-64}`.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Unit = Literal["words", "bytes"]
"""What an n-gram is made of; bytes for writing without spaces."""

_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_LAST = 2**64 - 1
_MOST_KNOWN = 1 << 18


class _KnownWords(dict[str, int]):
    """Word to number, filled when asked; emptied when it grows, so that memory stays bounded."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        raw = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(raw, "little")
        self[word] = number
        return number


_known = _KnownWords()


def find_words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case."""
    return _WORD.findall(text.lower())


def hash_words(words: list[str]) -> Hashes:
    """Return one number a word."""
    return np.fromiter(map(_known.__getitem__, words), dtype=np.uint64, count=len(words))


def hash_bytes(data: bytes) -> Hashes:
    """Return one number a byte."""
    return spread(np.frombuffer(data, dtype=np.uint8).astype(np.uint64) + np.uint64(1))


def hash_ngrams(units: Hashes, n: int) -> Hashes:
    r"""Return one number for each run of `n` units; none where there are fewer.

    The number is :math:`\sum_k u_k M^{n-1-k}` modulo :math:`2^{64}` with an odd M, computed by doubling: that
    of a run of 2k follows from those of its halves.
    """
    if len(units) < n:
        return np.empty(0, dtype=np.uint64)
    power, size, factor = units, 1, _MULTIPLIER
    result, covered = np.empty(0, dtype=np.uint64), 0
    while True:
        if n & size:
            # The run so far stands before this one.
            result = result[: len(power) - covered] * factor + power[covered:] if covered else power
            covered += size
        if size * 2 > n:
            return result
        power = power[:-size] * factor + power[size:]
        size, factor = size * 2, np.uint64(int(factor) ** 2 & _LAST)


def spread(words: Hashes) -> Hashes:
    """Spread every bit over all 64: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
