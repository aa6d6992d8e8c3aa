"""A corpus that is ready for training: what it is, and its tokens as memory-mapped files.

A folder holds `train.bin`, `held_out.bin` (token numbers, unsigned, little-endian, nothing else) and
`corpus.json`, which is written last. `prepare_corpus` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scalescope.corpora.tokens import Tokens, token_type
from scalescope.errors import InputError
from scalescope.points import Finding, Provenance, from_plain, read_json, to_plain
from scalescope.units import format_bytes, format_count, format_percent, format_significant

MANIFEST = "corpus.json"
TRAIN = "train.bin"
HELD_OUT = "held_out.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    """A stretch of the tokens that is one source's, and how much training is to come from it."""

    name: str
    weight: float
    """Share of the training sequences; those of all sources give 1."""
    train_start: int
    """First token on the training side."""
    train_tokens: int
    train_documents: int
    held_out_start: int
    """First token on the held-out side."""
    held_out_tokens: int
    held_out_documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A text, split by document and turned into tokens.  Built by `prepare_corpus`."""

    schema: ClassVar[str] = "scalescope.corpus/1"

    name: str
    n_documents: int
    """Distinct ones that hold text."""
    n_held_out_documents: int
    n_duplicates: int
    """Documents dropped because another has the same bytes."""
    n_bytes: int
    """Of the distinct documents."""
    train_tokens: int
    held_out_tokens: int
    train_bytes: int
    held_out_bytes: int
    bytes_per_token: float
    """Held-out bytes over held-out tokens: bits per byte = nats per token / ln 2 / this."""
    vocabulary: int
    """Number of different tokens a model must know."""
    tokenizer: str
    """`bytes`, or the name of the tokenizer's file."""
    tokenizer_digest: str
    digest: str
    """SHA-256 of the documents in order, the split and the tokenizer: equal means equal token files."""
    manifest: str
    """Hash of the names, sizes and times of the source's files when it was read."""
    train_file: str = TRAIN
    held_out_file: str = HELD_OUT
    sources: tuple[SourceShare, ...] = ()
    """In the order of their tokens; empty for a text that no recipe made, which is one source."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def train(self) -> Tokens:
        """Map the training tokens into memory, read-only."""
        return map_tokens(Path(self.train_file), self.train_tokens, self.vocabulary)

    def held_out(self) -> Tokens:
        """Map the held-out tokens into memory, read-only."""
        return map_tokens(Path(self.held_out_file), self.held_out_tokens, self.vocabulary)

    def at(self, train: Path | str, held_out: Path | str) -> Corpus:
        """Return the same corpus with its token files elsewhere, as on another machine."""
        return replace(self, train_file=str(train), held_out_file=str(held_out))

    def bits_per_byte(self, loss: float) -> float:
        """Turn nats per token into bits per byte of text."""
        return loss / math.log(2) / self.bytes_per_token

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, ready for any data-frame constructor: one a side of the split."""
        n_train = self.n_documents - self.n_held_out_documents
        return [
            {"part": "train", "documents": n_train, "tokens": self.train_tokens, "bytes": self.train_bytes},
            {
                "part": "held out",
                "documents": self.n_held_out_documents,
                "tokens": self.held_out_tokens,
                "bytes": self.held_out_bytes,
            },
        ]

    def summary(self) -> str:
        """A few lines for a terminal."""
        share = format_percent(self.held_out_tokens / (self.train_tokens + self.held_out_tokens))
        held_out = f"{self.n_held_out_documents} documents"
        per_token = f", {format_significant(self.bytes_per_token)} bytes a token"
        lines = [
            f"{self.name}: {self.n_documents} documents, {format_bytes(self.n_bytes)}"
            + (f", {self.n_duplicates} duplicates dropped" if self.n_duplicates else ""),
            f"  tokens    {self.tokenizer}, {self.vocabulary} different"
            + ("" if self.tokenizer == "bytes" else per_token),
            f"  training  {format_count(self.train_tokens)} tokens",
            f"  held out  {format_count(self.held_out_tokens)} tokens ({share}), {held_out}",
            f"  digest    {self.digest[:12]}",
        ]
        return "\n".join(lines + [f"  {finding}" for finding in self.findings])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Corpus:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def open_corpus(folder: Path) -> Corpus:
    """Read the corpus that `prepare_corpus` left in `folder`.

    Raises
    ------
    InputError
        If there is none, or it was written by another version.
    """
    corpus = Corpus.from_dict(read_json(folder / MANIFEST))
    return corpus.at(folder / TRAIN, folder / HELD_OUT)


def epochs(corpus: Corpus, tokens: float) -> float:
    """Return how many times a run of `tokens` tokens would read the training text."""
    return tokens / corpus.train_tokens


def map_tokens(path: Path, n_tokens: int, vocabulary: int) -> Tokens:
    """Map a token file into memory, read-only.

    Raises
    ------
    InputError
        If the file is absent or has another size than its corpus says.
    """
    kind = np.dtype(token_type(vocabulary)).newbyteorder("<")
    hint = "Prepare the corpus again."
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read the tokens {path}: {error.strerror}", hint=hint) from None
    if size != n_tokens * kind.itemsize:
        raise InputError(f"{path} has {size} bytes where {n_tokens * kind.itemsize} were written", hint=hint)
    return np.memmap(path, dtype=kind, mode="r")
