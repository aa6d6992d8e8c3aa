"""A byte-level BPE from the training side of a corpus, by the library `tokenizers`.

It reads a sample: the training documents with the smallest salted hashes, in document order, up to a limit in
bytes. So it depends on the documents and the seed alone, and never sees held-out text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.recipe import TokenizerRecipe
from scalescope.corpora.building.spool import Spool
from scalescope.corpora.ngrams import spread
from scalescope.errors import InputError, MissingExtraError

END = "<|endoftext|>"
TOKENIZER = "tokenizer.json"
N_BYTES = 256


def choose_sample(
    spool: Spool, training: npt.NDArray[np.int64], limit: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the numbers of the documents to train on, ascending, at least one."""
    words = np.ascontiguousarray(spool.census.hashes[training, :8]).view("<u8")[:, 0]
    order = training[np.argsort(spread(words + np.uint64(seed)), kind="stable")]
    sizes = np.cumsum(spool.census.sizes[order])
    return np.sort(order[: max(1, int(np.searchsorted(sizes, limit, side="right")))])


def train_tokenizer(
    spool: Spool, training: npt.NDArray[np.int64], wanted: TokenizerRecipe, seed: int, path: Path
) -> int:
    """Train a BPE, write it to `path`, and return the bytes it was trained on.

    Raises
    ------
    MissingExtraError
        If `tokenizers` is not installed.
    InputError
        If the text has too few different pairs for the vocabulary.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise MissingExtraError("tokenizers", "tokenizers") from None
    sample = choose_sample(spool, training, wanted.sample_bytes, seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=wanted.vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(spool, sample), trainer=trainer)
    if tokenizer.get_vocab_size() < wanted.vocabulary:
        raise InputError(
            f"the training text gives only {tokenizer.get_vocab_size()} tokens of the vocabulary of "
            f"{wanted.vocabulary} asked for",
            hint="Ask for a smaller vocabulary, or give more text.",
        )
    path.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    return int(spool.census.sizes[sample].sum())


def _texts(spool: Spool, sample: npt.NDArray[np.int64]) -> Iterator[list[str]]:
    for _, documents in spool.batches(sample):
        yield [document.decode(errors="replace") for document in documents]
