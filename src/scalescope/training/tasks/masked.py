"""Masked tokens of a text, guessed from both sides (BERT, Devlin et al. 2018, https://arxiv.org/abs/1810.04805).

Of every sequence the same number of tokens is asked for. What stands in their place is the mask, another
token or the token itself, so that a model cannot rest where there is no mask. The mask has the number after
those of the text's tokens: `Shape.vocabulary` counts it, and so do embedding and head, though it is never a
target. Losses are nats per masked token, and no bits per byte of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.draws import Numbers, Words, draw
from scalescope.corpora.readers import open_reader
from scalescope.corpora.reading import Reading
from scalescope.corpora.sampling import Windows, evaluation_windows
from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.training.tasks.next_token import parts_of, text_read
from scalescope.training.tasks.protocol import IGNORED, Batch

EVALUATION_SEED = 0
_PLACES, _FATES, _OTHERS, _EVALUATION = range(4)
"""Lanes of the draws; those for evaluation come after those for training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """How a sequence is masked."""

    share: float = 0.15
    """Of the tokens, asked for; at least one is."""
    others: float = 0.1
    """Of these, replaced by any token."""
    kept: float = 0.1
    """Of these, left as they are; the rest are replaced by the mask."""

    def count(self, context: int) -> int:
        """Count the tokens of a sequence that are asked for."""
        return max(1, round(self.share * context))


PLAIN = Masking(others=0.0, kept=0.0)
"""Every token that is asked for is replaced by the mask."""


class Masked:
    """Windows of a corpus with tokens to be guessed; masks follow from a sequence's number and the seed."""

    def __init__(
        self,
        corpus: Corpus,
        shape: Shape,
        seed: int,
        evaluation_tokens: int,
        masking: Masking | None = None,
        reading: Reading | None = None,
        n_sequences: int = 0,
    ) -> None:
        _check(shape, corpus)
        self._corpus, self._seed = corpus, seed
        self._masking = masking or Masking()
        self._reader = open_reader(corpus, shape.context, seed, reading, n_sequences=n_sequences)
        held_out = evaluation_windows(corpus, shape.context, evaluation_tokens)
        self._parts = parts_of(corpus, shape.context, evaluation_tokens)
        self._held_out = self._masked(held_out, np.arange(len(held_out)), EVALUATION_SEED, _EVALUATION)

    def batch(self, start: int, n: int) -> Batch:
        """Return training sequences; see `protocol.Task`."""
        return self._masked(self._reader.take(start, n), np.arange(start, start + n), self._seed, 0)

    def evaluation(self) -> Batch:
        """Return the held-out sequences under masks that are the same for every model."""
        return self._held_out

    def parts(self) -> Mapping[str, slice]:
        """Return the held-out sequences of each source."""
        return self._parts

    def epoch(self, start: int) -> float:
        """Return the epochs before a sequence; its masks are new in each."""
        return self._reader.epoch(start)

    def columns(self, loss: float, start: int) -> dict[str, Any]:  # noqa: ARG002
        """Return what was read."""
        return text_read(self._corpus, self._reader, start)

    def _masked(self, windows: Windows, numbers: Numbers, seed: int, lane: int) -> Batch:
        tokens = windows[:, :-1]
        places, fates, others = (
            draw(numbers, tokens.shape[1], seed=seed, lane=lane + kind) for kind in (_PLACES, _FATES, _OTHERS)
        )
        count = self._masking.count(tokens.shape[1])
        asked = np.argsort(places, axis=1, kind="stable")[:, :count]
        rows = np.arange(len(tokens))[:, None]
        own = tokens[rows, asked]
        inputs, targets = tokens.copy(), np.full_like(tokens, IGNORED)
        inputs[rows, asked] = self._shown(own, fates[rows, asked], others[rows, asked])
        targets[rows, asked] = own
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))

    def _shown(self, own: Windows, fates: Words, others: Words) -> Windows:
        """Return what stands in the place of tokens that are asked for."""
        mask, kept = self._corpus.vocabulary, self._masking.kept
        swapped = (others % np.uint64(mask)).astype(np.int64)
        fate = fates / 2.0**64
        result: Windows = np.where(
            fate < kept, own, np.where(fate < kept + self._masking.others, swapped, mask)
        )
        return result


def _check(shape: Shape, corpus: Corpus) -> None:
    if shape.causal:
        raise InputError(
            "masked tokens are guessed from both sides, and this shape sees only what stands before",
            hint="Give a shape with causal = false.",
        )
    if shape.vocabulary != corpus.vocabulary + 1:
        raise InputError(
            f"masked tokens of {corpus.name} need a vocabulary of {corpus.vocabulary} and the mask, "
            f"{corpus.vocabulary + 1}; the shape has {shape.vocabulary}",
            hint=f"Give the shape a vocabulary of {corpus.vocabulary + 1}.",
        )
