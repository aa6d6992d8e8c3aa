r"""Which source a sequence comes from: exact shares at every place, computed from its number alone.

Sequences come in blocks. With cumulative shares :math:`W_s`, source s has given
:math:`\lfloor b P W_s \rfloor - \lfloor b P W_{s-1} \rfloor` sequences before block b of P sequences, so that
no source is ever more than one sequence off; inside a block the order is shuffled by the seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scalescope.corpora.draws import draw

Numbers = npt.NDArray[np.int64]

BLOCK = 4096
_LANE = 11


class Interleaving:
    """Sources of the sequences of one stage.

    Parameters
    ----------
    shares
        Of every source; they sum to one.
    seed
        Of the order inside blocks.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        self._edges = np.concatenate([[0.0], np.cumsum(shares)])
        self._edges[-1] = 1.0
        self._seed = seed
        self._block = -1
        self._order: Numbers = np.empty(0, dtype=np.int64)

    def given(self, block: int) -> Numbers:
        """Count the sequences that every source has given before a block."""
        borders: Numbers = np.floor(block * BLOCK * self._edges + 1e-9).astype(np.int64)
        return borders[1:] - borders[:-1]

    def counts(self, number: int) -> Numbers:
        """Count the sequences that every source has given before sequence `number`."""
        block, inside = divmod(number, BLOCK)
        told: Numbers = self.given(block) + np.bincount(
            self._sources(block)[:inside], minlength=len(self._edges) - 1
        )
        return told

    def places(self, start: int, n: int) -> tuple[Numbers, Numbers]:
        """Return source and number within the source of sequences `start` to `start + n - 1`."""
        sources: Numbers = np.empty(n, dtype=np.int64)
        numbers: Numbers = np.empty(n, dtype=np.int64)
        at = 0
        while at < n:
            block, inside = divmod(start + at, BLOCK)
            order = self._sources(block)
            length = min(n - at, BLOCK - inside)
            sources[at : at + length] = order[inside : inside + length]
            numbers[at : at + length] = (self.given(block)[order] + _ranks(order))[inside : inside + length]
            at += length
        return sources, numbers

    def _sources(self, block: int) -> Numbers:
        """Return the source of every sequence of a block."""
        if block != self._block:
            counts = self.given(block + 1) - self.given(block)
            members = np.repeat(np.arange(len(counts)), counts)
            words = draw(np.array([block]), BLOCK, seed=self._seed, lane=_LANE)[0]
            self._order, self._block = members[np.argsort(words, kind="stable")], block
        return self._order


def _ranks(order: Numbers) -> Numbers:
    """Count, for every place, the earlier places of the same source."""
    by_source = np.argsort(order, kind="stable")
    starts = np.searchsorted(order[by_source], order[by_source])
    ranks: Numbers = np.empty_like(order)
    ranks[by_source] = np.arange(len(order)) - starts
    return ranks
