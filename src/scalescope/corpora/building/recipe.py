"""What is to be built: sources, filters, duplicates, split, contamination, tokenizer, shards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scalescope.corpora.filters import Filter
from scalescope.corpora.ngrams import Unit
from scalescope.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecipe:
    """One source of documents."""

    name: str
    path: str | None = None
    """A file, a folder or `hf:NAME`, from the recipe's folder; None for Python's standard library."""
    column: str = "text"
    """Where the text is in JSONL, Parquet and data sets."""
    weight: float | None = None
    """Share of the training sequences, up to a factor; None everywhere for shares as they lie."""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise InputError(
                f"a source's name must be given without white space around it, got {self.name!r}"
            )
        if self.weight is not None and not 0 < self.weight < float("inf"):
            raise InputError(f"weight must be a positive number, got {self.weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NearRecipe:
    """What counts as a near-duplicate."""

    threshold: float = 0.8
    """Least Jaccard similarity of the two documents' sets of n-grams."""
    ngram: int = 5
    unit: Unit = "words"
    permutations: int = 128
    """Numbers in a signature: an estimated similarity J has the standard deviation sqrt(J (1-J) / this)."""

    def __post_init__(self) -> None:
        if not 0.3 <= self.threshold <= 1:
            raise InputError(f"threshold must be from 0.3 to 1, got {self.threshold}")
        _at_least(1, ngram=self.ngram)
        if not 16 <= self.permutations <= 1024:
            raise InputError(f"permutations must be from 16 to 1024, got {self.permutations}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesRecipe:
    """Which copies are removed; of each group the first document stays."""

    exact: bool = True
    """Documents with the same bytes. Near-duplicates are only looked for among what is left."""
    near: NearRecipe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRecipe:
    """How much is kept from training."""

    share: float = 0.04
    """Of the bytes. At least about 100k tokens are held out, if that is at most a fifth."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 0.5:
            raise InputError(f"share must be above 0 and at most 0.5, got {self.share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationRecipe:
    """When a training document is removed because held-out text is in it."""

    ngram: int = 13
    """Length of the n-grams that are compared, as in Brown et al. 2020, appendix C."""
    unit: Unit = "words"
    threshold: float = 0.2
    """Share of the n-grams of the training document, or of one held-out document, that both have."""

    def __post_init__(self) -> None:
        _at_least(1, ngram=self.ngram)
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold must be above 0 and at most 1, got {self.threshold}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerRecipe:
    """What turns text into numbers."""

    kind: Literal["bytes", "file", "bpe"] = "bytes"
    """Bytes as they are, a file of the library `tokenizers`, or a byte-level BPE that is trained here."""
    path: str | None = None
    """Of the file, from the recipe's folder."""
    vocabulary: int = 4096
    """Tokens of a BPE that is trained, its 256 bytes and the end of text among them."""
    sample_bytes: int = 32 * 2**20
    """Text that a BPE is trained on, at most."""

    def __post_init__(self) -> None:
        if (self.kind == "file") != (self.path is not None):
            raise InputError('path goes with kind = "file", and only with it')
        if not 257 <= self.vocabulary <= 2**20:
            raise InputError(f"vocabulary must be from 257 to 1048576, got {self.vocabulary}")
        _at_least(1, sample_bytes=self.sample_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsRecipe:
    """How the token files are cut."""

    size: int = 2**26
    """Tokens of a shard, about: a document is never cut."""

    def __post_init__(self) -> None:
        _at_least(1, size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a corpus is built; equal recipes on equal sources give equal files, byte for byte."""

    sources: tuple[SourceRecipe, ...]
    filters: tuple[Filter, ...] = ()
    """In the order in which they are applied."""
    duplicates: DuplicatesRecipe = field(default_factory=DuplicatesRecipe)
    held_out: HeldOutRecipe = field(default_factory=HeldOutRecipe)
    contamination: ContaminationRecipe | None = None
    tokenizer: TokenizerRecipe = field(default_factory=TokenizerRecipe)
    shards: ShardsRecipe = field(default_factory=ShardsRecipe)
    samples: int = 5
    """Removed documents of each stage that the report shows, at most."""
    seed: int = 0
    """Of the signatures for near-duplicates, and of the sample that a BPE is trained on."""
    folder: Path = Path()
    """Where relative paths start; no part of what is built."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError("the recipe has no source", hint='Add [[source]] with name = "..." and path.')
        twice = [name for name, n in Counter(source.name for source in self.sources).items() if n > 1]
        if twice:
            raise InputError(f"two sources are called {twice[0]!r}", hint="Give each a name of its own.")
        weighted = [source.weight is not None for source in self.sources]
        if any(weighted) and not all(weighted):
            name = self.sources[weighted.index(False)].name
            raise InputError(
                f"source {name!r} has no weight where others have one",
                hint="Give every source a weight, or none.",
            )
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed must be from 0 to 2**63 - 1, got {self.seed}")
        if not 0 <= self.samples <= 1000:
            raise InputError(f"samples must be from 0 to 1000, got {self.samples}")


def _at_least(least: int, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < least:
            raise InputError(f"{name} must be at least {least}, got {number}")
