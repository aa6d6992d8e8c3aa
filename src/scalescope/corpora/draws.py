"""Random words by place: a function of seed and number, equal on every machine and under any library version.

What is drawn for sequence 1,000 needs none of the 999 before it, so a run may be resumed anywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_WORD = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: steps of it fall far apart."""


def draw(numbers: Numbers, count: int, *, seed: int, lane: int) -> Words:
    """Draw 64-bit words, shape (len(numbers), count).

    Parameters
    ----------
    numbers
        What is drawn for, such as numbers of sequences.
    count
        Words for each.
    seed
        Another gives other words.
    lane
        Keeps draws of different purposes apart.
    """
    key = mix(mix(word(seed + 1)) + word(lane))
    rows = mix(key + numbers.astype(np.uint64))
    steps = np.arange(1, count + 1, dtype=np.uint64) * word(GOLDEN)
    return mix(rows[:, None] + steps)


class Order:
    """Items by number, each once an epoch, in an order of its own every epoch.

    For sets that fit into memory; texts have `scalescope.corpora.sampling`.
    """

    def __init__(self, n_items: int, seed: int) -> None:
        self.n_items, self._seed = n_items, seed
        self._epoch = -1
        self._items: Numbers = np.empty(0, dtype=np.int64)

    def take(self, start: int, n: int) -> Numbers:
        """Return the items of places `start` to `start + n - 1`, counted from the beginning of the run."""
        parts = []
        while n > 0:
            epoch, first = divmod(start, self.n_items)
            part = self._of(epoch)[first : first + n]
            parts.append(part)
            start, n = start + len(part), n - len(part)
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def _of(self, epoch: int) -> Numbers:
        if epoch != self._epoch:
            words = draw(np.array([epoch]), self.n_items, seed=self._seed, lane=0)[0]
            self._items, self._epoch = np.argsort(words, kind="stable"), epoch
        return self._items


def mix(words: Words) -> Words:
    """Spread every bit over all 64: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> word(30))) * word(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> word(27))) * word(0x94D049BB133111EB)
    return words ^ (words >> word(31))


def word(value: int) -> Words:
    """Return a 64-bit word as an array, since arrays wrap around where scalars complain."""
    return np.array([value & _WORD], dtype=np.uint64)
