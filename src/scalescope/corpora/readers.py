"""Training sequences by number from a corpus of any number of sources.

What sequence number 1,000,000 is follows from its number, the seed and the `Reading` alone: a run may stop
anywhere and go on anywhere, with another batch size, and sees the same sequences in the same order.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from scalescope.corpora.corpus import Corpus, SourceShare
from scalescope.corpora.curriculum import Curriculum
from scalescope.corpora.interleaving import Interleaving, Numbers
from scalescope.corpora.reading import Reading, shares_of
from scalescope.corpora.sampling import Sampler, Windows
from scalescope.errors import InputError


class Reader(Protocol):
    """Training sequences by number."""

    def take(self, start: int, n: int) -> Windows:
        """Return sequences number `start` to `start + n - 1`, shape (n, context + 1)."""
        ...

    def epoch(self, start: int) -> float:
        """Return how many epochs of the text lie before sequence number `start`."""
        ...

    def unique_tokens(self, start: int) -> int:
        """Count the different tokens that were read before sequence number `start`."""
        ...


def open_reader(
    corpus: Corpus, context: int, seed: int, reading: Reading | None = None, *, n_sequences: int = 0
) -> Reader:
    """Make the reader of a run.

    Parameters
    ----------
    corpus
        What is read.
    context
        Length of a sequence in tokens.
    seed
        Decides the order.
    reading
        How; the whole corpus, shuffled, if None.
    n_sequences
        Length of the run, which stages and curricula are shares of.

    Raises
    ------
    InputError
        If the corpus has no such source, is too short, or lacks what a curriculum is sorted by.
    """
    reading = reading or Reading()
    if reading.order != "shuffled":
        return Curriculum(corpus, context, seed, reading, n_sequences)
    sources = corpus.sources or (_whole(corpus),)
    if len(sources) == 1 and not reading.stages:
        return _Plain(corpus, context, seed, reading)
    return _Mixed(corpus, sources, context, seed, reading, n_sequences)


def _whole(corpus: Corpus) -> SourceShare:
    return SourceShare(
        name=corpus.name,
        weight=1.0,
        train_start=0,
        train_tokens=corpus.train_tokens,
        train_documents=corpus.n_documents - corpus.n_held_out_documents,
        held_out_start=0,
        held_out_tokens=corpus.held_out_tokens,
        held_out_documents=corpus.n_held_out_documents,
    )


class _Plain:
    """One source."""

    def __init__(self, corpus: Corpus, context: int, seed: int, reading: Reading) -> None:
        self._sampler = Sampler(corpus.train(), context, seed, unique_tokens=reading.unique_tokens or None)
        self._most = reading.unique_tokens or corpus.train_tokens

    def take(self, start: int, n: int) -> Windows:
        return self._sampler.take(start, n)

    def epoch(self, start: int) -> float:
        return self._sampler.epoch(start)

    def unique_tokens(self, start: int) -> int:
        return min(start * self._sampler.context, self._most)


class _Mixed:
    """Several sources, perhaps in stages."""

    def __init__(
        self,
        corpus: Corpus,
        sources: tuple[SourceShare, ...],
        context: int,
        seed: int,
        reading: Reading,
        n_sequences: int,
    ) -> None:
        names = tuple(source.name for source in sources)
        given = reading.weights or {source.name: source.weight for source in sources}
        weights = [stage.weights for stage in reading.stages] or [given]
        ends = [stage.until for stage in reading.stages[:-1]]
        if ends and not n_sequences:
            raise InputError("reading: stages need a run of known length", hint="Say how long it trains.")
        self._starts = [0, *(round(end * n_sequences) for end in ends)]
        shares = [shares_of(each, names) for each in weights]
        self._stages = [Interleaving(each, seed + stage) for stage, each in enumerate(shares)]
        self._before: list[Numbers] = [np.zeros(len(sources), dtype=np.int64)]
        for stage, (first, last) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            self._before.append(self._before[-1] + self._stages[stage].counts(last - first))
        unique = _unique_of(reading.unique_tokens, sources, shares[0])
        tokens = corpus.train()
        self._samplers: dict[int, Sampler] = {
            number: Sampler(
                tokens[source.train_start : source.train_start + source.train_tokens],
                context,
                seed + number,
                unique_tokens=unique[number],
            )
            for number, source in enumerate(sources)
            if any(each[number] > 0 for each in shares)
        }
        self._context = context

    def take(self, start: int, n: int) -> Windows:
        rows: Windows = np.empty((n, self._context + 1), dtype=np.int64)
        for stage, first, last in self._pieces(start, start + n):
            sources, numbers = self._stages[stage].places(first - self._starts[stage], last - first)
            for source in np.unique(sources):
                asked = np.flatnonzero(sources == source)
                base = self._before[stage][source]
                # Numbers of one source ascend by one, so that they are one stretch of its sampler.
                rows[first - start + asked] = self._samplers[int(source)].take(
                    int(base + numbers[asked[0]]), len(asked)
                )
        return rows

    def epoch(self, start: int) -> float:
        """Of the source that was read most often."""
        counts = self._counts(start)
        return max(sampler.epoch(int(counts[number])) for number, sampler in self._samplers.items())

    def unique_tokens(self, start: int) -> int:
        counts = self._counts(start)
        return sum(
            min(int(counts[number]), sampler.windows_per_epoch) * self._context
            for number, sampler in self._samplers.items()
        )

    def _counts(self, start: int) -> Numbers:
        stage = max(index for index, first in enumerate(self._starts) if first <= start)
        return self._before[stage] + self._stages[stage].counts(start - self._starts[stage])

    def _pieces(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Cut a stretch of sequences where stages begin: stage, first, last."""
        ends = [*self._starts[1:], max(stop, self._starts[-1])]
        return [
            (stage, max(start, first), min(stop, last))
            for stage, (first, last) in enumerate(zip(self._starts, ends, strict=True))
            if max(start, first) < min(stop, last)
        ]


def _unique_of(
    unique_tokens: int, sources: tuple[SourceShare, ...], shares: tuple[float, ...]
) -> list[int | None]:
    """Share unique tokens out as sequences are."""
    if not unique_tokens:
        return [None] * len(sources)
    return [round(unique_tokens * share) for share in shares]
