"""The next token of a text."""

from __future__ import annotations

import torch

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.sampling import Sampler, Windows, evaluation_windows
from scalescope.training.tasks.protocol import Batch


class NextToken:
    """Windows of a corpus; every token is asked for from those before it."""

    def __init__(self, corpus: Corpus, context: int, seed: int, evaluation_tokens: int) -> None:
        self._sampler = Sampler(corpus.train(), context, seed)
        self._held_out = evaluation_windows(corpus, context, evaluation_tokens)

    def batch(self, start: int, n: int) -> Batch:
        """Return training sequences; see `protocol.Task`."""
        return _asked(self._sampler.take(start, n))

    def evaluation(self) -> Batch:
        """Return the held-out sequences."""
        return _asked(self._held_out)

    def epoch(self, start: int) -> float:
        """Return the epochs before a sequence."""
        return self._sampler.epoch(start)


def _asked(windows: Windows) -> Batch:
    tokens = torch.from_numpy(windows)
    return Batch(tokens[:, :-1], tokens[:, 1:])
