"""A corpus that a recipe built: shards of tokens by source, an index, and a manifest that is written last.

A folder holds `train-00000.bin` and so on, `held_out.bin` (token numbers, unsigned, little-endian, nothing
else), `train.index` and `held_out.index` (see `index`), `tokenizer.json` where tokens are not bytes,
`report.json` and `report.md`, which hold times, and `corpus.json`, which names all others with sizes and
SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from scalescope.corpora.corpus import HELD_OUT, MANIFEST, map_tokens
from scalescope.corpora.index import Index, map_index
from scalescope.corpora.tokens import Tokens
from scalescope.errors import InputError
from scalescope.points import Finding, Provenance, from_plain, read_json, to_plain
from scalescope.units import format_bytes, format_count, format_percent

TRAIN_INDEX, HELD_OUT_INDEX = "train.index", "held_out.index"
_BLOCK_BYTES = 1 << 20
_AGAIN = "Build the corpus again: the same recipe and sources give the same files."


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What a file must be."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of training tokens; all of one source, no document cut."""

    file: str
    source: int
    """Number of the source."""
    n_tokens: int
    n_documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSource:
    """What one source became."""

    name: str
    weight: float
    """Share of the training sequences that are to come from it; all together give 1."""
    train_documents: int
    train_tokens: int
    train_bytes: int
    held_out_documents: int
    held_out_tokens: int
    held_out_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The training tokens of one source, mapped into memory."""

    name: str
    weight: float
    shards: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCorpus:
    """Sources that were filtered, split and turned into tokens.  Built by `build_corpus`."""

    schema: ClassVar[str] = "scalescope.built-corpus/1"

    name: str
    recipe: Mapping[str, Any]
    """All that decides what is built, defaults written out."""
    manifests: tuple[str, ...]
    """For each source the hash of the names, sizes and times of its files when it was read."""
    sources: tuple[BuiltSource, ...]
    shards: tuple[Shard, ...]
    """In the order of the sources; tokens are counted through all of them."""
    n_read: int
    """Documents that the sources hold."""
    n_duplicates: int
    """Removed as copies, exact or near."""
    vocabulary: int
    tokenizer: str
    """`bytes`, or the name of the tokenizer's file."""
    tokenizer_digest: str
    separated: bool
    """Whether documents end with a mark."""
    digest: str
    """SHA-256 of the documents in order, the split and the tokenizer: equal means equal tokens."""
    files: Mapping[str, FileMark]
    """Every file but this one and the reports, by name."""
    versions: Mapping[str, str]
    """Of the libraries that the files depend on."""
    folder: str = ""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def train_tokens(self) -> int:
        """Of all sources."""
        return sum(source.train_tokens for source in self.sources)

    @property
    def held_out_tokens(self) -> int:
        """Of all sources."""
        return sum(source.held_out_tokens for source in self.sources)

    @property
    def train_documents(self) -> int:
        """Of all sources."""
        return sum(source.train_documents for source in self.sources)

    @property
    def held_out_documents(self) -> int:
        """Of all sources."""
        return sum(source.held_out_documents for source in self.sources)

    def streams(self) -> tuple[Stream, ...]:
        """Map the training tokens of every source into memory, read-only."""
        return tuple(
            Stream(
                name=source.name,
                weight=source.weight,
                shards=tuple(self._tokens(shard) for shard in self.shards if shard.source == number),
            )
            for number, source in enumerate(self.sources)
        )

    def held_out(self) -> Tokens:
        """Map the held-out tokens of all sources, one after the other, into memory, read-only."""
        return map_tokens(Path(self.folder) / HELD_OUT, self.held_out_tokens, self.vocabulary)

    def train_index(self) -> Index:
        """Map the records of the training documents into memory, read-only."""
        return map_index(Path(self.folder) / TRAIN_INDEX, self.train_documents)

    def held_out_index(self) -> Index:
        """Map the records of the held-out documents into memory, read-only."""
        return map_index(Path(self.folder) / HELD_OUT_INDEX, self.held_out_documents)

    def check(self) -> None:
        """Read every file once and compare it with its SHA-256.

        Raises
        ------
        InputError
            If a file is not what was written; the message names it.
        """
        self.check_sizes()
        for name, mark in self.files.items():
            if _sha256(Path(self.folder) / name) != mark.sha256:
                raise InputError(
                    f"{Path(self.folder) / name} is damaged: its SHA-256 is not the one in {MANIFEST}",
                    hint=_AGAIN,
                )

    def check_sizes(self) -> None:
        """Compare the size of every file with the one in the manifest.

        Raises
        ------
        InputError
            If a file is absent or has another size; the message names it.
        """
        for name, mark in self.files.items():
            path = Path(self.folder) / name
            try:
                size = path.stat().st_size
            except OSError as error:
                raise InputError(f"cannot read {path}: {error.strerror}", hint=_AGAIN) from None
            if size != mark.size:
                raise InputError(f"{path} has {size} bytes where {mark.size} were written", hint=_AGAIN)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, ready for any data-frame constructor: one a source."""
        names = ("name", "weight", "train_documents", "train_tokens", "train_bytes")
        held_out = ("held_out_documents", "held_out_tokens", "held_out_bytes")
        return [{name: getattr(source, name) for name in names + held_out} for source in self.sources]

    def summary(self, *, findings: bool = True) -> str:
        """A few lines for a terminal, with the findings or without."""
        kept = self.train_documents + self.held_out_documents
        size = sum(mark.size for mark in self.files.values())
        shards = "1 shard" if len(self.shards) == 1 else f"{len(self.shards)} shards"
        lines = [
            f"{self.name}: {kept} of {self.n_read} documents, {shards}, {format_bytes(size)}",
            f"  tokens    {self.tokenizer}, {self.vocabulary} different",
            f"  training  {format_count(self.train_tokens)} tokens, {self.train_documents} documents",
            f"  held out  {format_count(self.held_out_tokens)} tokens, {self.held_out_documents} documents",
            *(
                f"  source    {source.name}: weight {format_percent(source.weight)}, "
                f"{format_count(source.train_tokens)} tokens"
                for source in self.sources
            ),
            f"  digest    {self.digest[:12]}",
        ]
        return "\n".join(lines + [f"  {finding}" for finding in self.findings if findings])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuiltCorpus:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)

    def _tokens(self, shard: Shard) -> Tokens:
        return map_tokens(Path(self.folder) / shard.file, shard.n_tokens, self.vocabulary)


def is_built(folder: Path) -> bool:
    """Whether a folder holds a corpus that a recipe built."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("schema", "")).startswith("scalescope.built-corpus/")


def open_built(folder: Path) -> BuiltCorpus:
    """Open a built corpus; sizes are compared with the manifest, contents by `check` only.

    Raises
    ------
    InputError
        If there is none, it was written by another version, or a file is absent or has another size.
    """
    corpus = read_built(folder)
    corpus.check_sizes()
    return corpus


def read_built(folder: Path) -> BuiltCorpus:
    """Read a manifest, and look at no other file."""
    return BuiltCorpus.from_dict({**read_json(folder / MANIFEST), "folder": str(folder)})


def mark_file(path: Path) -> FileMark:
    """Say what a file is now."""
    return FileMark(size=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint=_AGAIN) from None
    return digest.hexdigest()
