"""Documents in which the same runs of words come again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scalescope.corpora.filters.protocol import Measure, check_shares
from scalescope.corpora.filters.text import Text
from scalescope.corpora.ngrams import Hashes, hash_ngrams

_LONG = range(5, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedNgrams:
    """Keeps documents of which repeated runs of words cover little; shares are of the words' characters."""

    name: ClassVar[str] = "repeated_ngrams"
    source: ClassVar[str] = "Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1"

    most_top_2: float = 0.20
    """Share that the most frequent 2-gram covers."""
    most_top_3: float = 0.18
    most_top_4: float = 0.16
    most_repeated_5: float = 0.15
    """Share that all 5-grams cover that were there before, each character counted once."""
    most_repeated_6: float = 0.14
    most_repeated_7: float = 0.13
    most_repeated_8: float = 0.12
    most_repeated_9: float = 0.11
    most_repeated_10: float = 0.10

    def __post_init__(self) -> None:
        check_shares(**{name: getattr(self, name) for name in self.__slots__})

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the share of the most frequent n-gram for n of 2 to 4, then of repeated ones for 5 to 10."""
        for n in (2, 3, 4):
            limit: float = getattr(self, f"most_top_{n}")
            yield Measure(f"share of the top {n}-gram", _top_share(text, n), high=limit)
        limits = {n: float(getattr(self, f"most_repeated_{n}")) for n in _LONG}
        for n, limit in limits.items():
            share = repeated_share(text, n)
            yield Measure(f"share of repeated {n}-grams", share, high=limit)
            # A longer repeated run covers only what shorter ones cover: the share cannot grow with n.
            if share <= min(limits.values()):
                return


def repeated_share(text: Text, n: int) -> float:
    """Return the share of the words' characters inside n-grams that were there before."""
    grams = hash_ngrams(text.word_hashes, n)
    if len(grams) < 2:
        return 0.0
    order = np.argsort(grams, kind="stable")
    again = order[1:][grams[order[1:]] == grams[order[:-1]]]
    if not len(again):
        return 0.0
    edges = np.zeros(len(text.words) + 1, dtype=np.int64)
    np.add.at(edges, again, 1)
    np.add.at(edges, again + n, -1)
    covered = np.cumsum(edges[:-1]) > 0
    return float(text.word_sizes[covered].sum() / max(int(text.word_sizes.sum()), 1))


def _top_share(text: Text, n: int) -> float:
    """Return the share of the words' characters in the n-gram that covers most."""
    grams = hash_ngrams(text.word_hashes, n)
    if len(grams) < 2:
        return 0.0
    place, count = _most_frequent(grams)
    if count < 2:
        return 0.0
    return min(
        1.0, count * int(text.word_sizes[place : place + n].sum()) / max(int(text.word_sizes.sum()), 1)
    )


def _most_frequent(grams: Hashes) -> tuple[int, int]:
    """Return where the most frequent n-gram stands first, and how often it is there."""
    in_order = np.sort(grams)
    starts = np.flatnonzero(np.concatenate(([True], in_order[1:] != in_order[:-1])))
    counts = np.diff(starts, append=len(in_order))
    most = int(np.argmax(counts))
    return int(np.argmax(grams == in_order[starts[most]])), int(counts[most])
