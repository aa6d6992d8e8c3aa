"""Sequences from easy to hard over one run: short first, compressible first, or easy for a small model first.

The sequences of the run are drawn as usual, and then read in the order of the score of the document in which
each begins, in `BINS` steps of equally many sequences, shuffled inside a step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.draws import draw
from scalescope.corpora.index import map_index
from scalescope.corpora.reading import OrderName, Reading
from scalescope.corpora.sampling import Sampler, Windows
from scalescope.errors import InputError

BINS = 32
MOST_SEQUENCES = 50_000_000
"""Of one run that is sorted: their numbers are held in memory, 8 bytes each."""
INDEX, DIFFICULTY = "train.index", "train.difficulty"
"""Beside the tokens: a record for each document, and its loss under a small model as float32."""
_LANE = 12


class Curriculum:
    """A run's sequences in the order of a score; a `readers.Reader`.

    Raises
    ------
    InputError
        If the corpus has no index or scores, has shares of sources, or the run is too long to be sorted.
    """

    def __init__(self, corpus: Corpus, context: int, seed: int, reading: Reading, n_sequences: int) -> None:
        if reading.weights or reading.stages:
            raise InputError("reading: an order and shares of sources exclude each other so far")
        if not 0 < n_sequences <= MOST_SEQUENCES:
            raise InputError(
                f"a curriculum sorts up to {MOST_SEQUENCES} sequences, and the run has {n_sequences}",
                hint="Use stages instead.",
            )
        self._sampler = Sampler(corpus.train(), context, seed, unique_tokens=reading.unique_tokens or None)
        starts, scores = _scores(corpus, reading.order)
        first = self._sampler.starts(np.arange(n_sequences))
        score = scores[np.maximum(np.searchsorted(starts, first, side="right") - 1, 0)]
        rank = np.empty(n_sequences, dtype=np.int64)
        rank[np.argsort(score, kind="stable")] = np.arange(n_sequences)
        shuffled = draw(np.array([0]), n_sequences, seed=seed, lane=_LANE)[0]
        self._order = np.lexsort((shuffled, rank * BINS // n_sequences))

    def take(self, start: int, n: int) -> Windows:
        """Return sequences of the run; see `readers.Reader`."""
        numbers = self._order[np.arange(start, start + n) % len(self._order)]
        return self._sampler.at(numbers)

    def epoch(self, start: int) -> float:
        """Return the epochs before a sequence."""
        return self._sampler.epoch(start)

    def unique_tokens(self, start: int) -> int:
        """Count the different tokens before a sequence, at most those of the run."""
        return min(start, self._sampler.windows_per_epoch) * self._sampler.context


def _scores(corpus: Corpus, order: OrderName) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the first token and the score of every training document."""
    folder = Path(corpus.train_file).parent
    n_documents = corpus.n_documents - corpus.n_held_out_documents
    if not (folder / INDEX).is_file():
        raise InputError(
            f"{corpus.name} has no index of its documents, which an order by {order} needs",
            hint="Build the corpus with `scalescope corpus build`.",
        )
    index = map_index(folder / INDEX, n_documents)
    starts = index["start"].astype(np.int64)
    if order == "length":
        return starts, index["tokens"].astype(np.float32)
    if order == "compressibility":
        return starts, index["compressed"].astype(np.float32)
    path = folder / DIFFICULTY
    if not path.is_file() or path.stat().st_size != 4 * n_documents:
        raise InputError(
            f"{folder} has no losses of its documents under a small model",
            hint="Make them with `scalescope.training.scoring`.",
        )
    return starts, np.memmap(path, dtype="<f4", mode="r").astype(np.float32)
