"""The next token of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.readers import Reader, open_reader
from scalescope.corpora.reading import Reading
from scalescope.corpora.sampling import Windows, evaluation_starts, evaluation_windows
from scalescope.training.tasks.protocol import Batch


class NextToken:
    """Windows of a corpus; every token is asked for from those before it."""

    def __init__(
        self,
        corpus: Corpus,
        context: int,
        seed: int,
        evaluation_tokens: int,
        reading: Reading | None = None,
        n_sequences: int = 0,
    ) -> None:
        self._corpus = corpus
        self._reader = open_reader(corpus, context, seed, reading, n_sequences=n_sequences)
        self._held_out = evaluation_windows(corpus, context, evaluation_tokens)
        self._parts = parts_of(corpus, context, evaluation_tokens)

    def batch(self, start: int, n: int) -> Batch:
        """Return training sequences; see `protocol.Task`."""
        return _asked(self._reader.take(start, n))

    def evaluation(self) -> Batch:
        """Return the held-out sequences."""
        return _asked(self._held_out)

    def parts(self) -> Mapping[str, slice]:
        """Return the held-out sequences of each source."""
        return self._parts

    def epoch(self, start: int) -> float:
        """Return the epochs before a sequence."""
        return self._reader.epoch(start)

    def columns(self, loss: float, start: int) -> dict[str, Any]:
        """Return bits per byte, and what was read."""
        return {
            "bits_per_byte": self._corpus.bits_per_byte(loss),
            **text_read(self._corpus, self._reader, start),
        }


def text_read(corpus: Corpus, reader: Reader, start: int) -> dict[str, float]:
    """Return the columns of the text that was read before sequence number `start`."""
    unique = reader.unique_tokens(start)
    return {
        "tokens_unique": unique,
        # Bytes, which are characters but where a text has others than those of ASCII.
        "characters": unique * corpus.train_bytes / corpus.train_tokens,
    }


def parts_of(corpus: Corpus, context: int, evaluation_tokens: int) -> dict[str, slice]:
    """Return which held-out windows lie within each source; empty for a text of one."""
    if len(corpus.sources) < 2:
        return {}
    starts = evaluation_starts(corpus, context, evaluation_tokens)
    found = {}
    for source in corpus.sources:
        first = int(np.searchsorted(starts, source.held_out_start))
        stop = source.held_out_start + source.held_out_tokens - context
        last = int(np.searchsorted(starts, stop))
        if first < last:
            found[source.name] = slice(first, last)
    return found


def _asked(windows: Windows) -> Batch:
    tokens = torch.from_numpy(windows)
    return Batch(tokens[:, :-1], tokens[:, 1:])
