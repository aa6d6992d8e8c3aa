"""From a source to a corpus on disk: two readings, bounded memory, nothing half-written.

The first reading hashes every document, which finds duplicates, decides the split and gives the digest.
The second writes the tokens. `corpus.json` is written last, so a folder holds a whole corpus or none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalescope.corpora.adopting import adopt, refuse_other_tokenizer
from scalescope.corpora.built import BuiltCorpus, is_built, open_built
from scalescope.corpora.corpus import MANIFEST, Corpus, open_corpus
from scalescope.corpora.documents import Tally
from scalescope.corpora.doubts import SMALL_HELD_OUT, doubts, gone, mended
from scalescope.corpora.sources import Source, find_source
from scalescope.corpora.split import (
    Census,
    Split,
    digest_split,
    kept_documents,
    split_documents,
    take_census,
)
from scalescope.corpora.tokens import Tokenizer, open_tokenizer
from scalescope.corpora.writing import Progress, Written, describe, publish, write_tokens, writing_to
from scalescope.errors import InputError
from scalescope.points import Provenance, digest_of
from scalescope.points.provenance import Option
from scalescope.units import format_count

MIN_TOKENS = 50_000
"""Training tokens below which no study is possible."""


def prepare_corpus(
    source: str | None,
    folder: Path,
    *,
    tokenizer: Path | None = None,
    text_column: str = "text",
    held_out: float = 0.04,
    exclude: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Corpus:
    """Read a text, split it by document, turn it into tokens, and keep the result in `folder`.

    Exact duplicates are dropped. The held-out documents are chosen by the hash of their contents. A second
    call with the same source and options returns what the first made; it reads the source again only when
    the names, sizes or times of its files have changed.

    Parameters
    ----------
    source
        None for the source text of the running Python's standard library. Else a text file (cut into pieces
        at blank lines), a folder of text files (each a document) or of JSONL or Parquet files, one JSONL
        (`.jsonl`, `.jsonl.gz`) or Parquet file (each row a document), or `hf:NAME[/CONFIG]`.
        A folder that `build_corpus` filled is taken as it is.
    folder
        Where the corpus is kept; it may not hold another.
    tokenizer
        A file of the library `tokenizers`; None for bytes.
    text_column
        Where the text is in JSONL, Parquet and data sets.
    held_out
        Share of the bytes to hold out. At least about 100k tokens are, if that is at most a fifth.
    exclude
        Folders inside a folder source that are no part of it; `folder` itself never is.
    progress
        Told how far the writing has come.

    Raises
    ------
    InputError
        If the source cannot be used, or `folder` holds another corpus.
    RunError
        If the tokens cannot be written, or the source changes while it is read.
    """
    if not 0 < held_out <= 0.5:
        raise InputError(
            f"the held-out share must be above 0 and at most 0.5, got {held_out}", hint="0.04 is usual."
        )
    codec = open_tokenizer(tokenizer)
    stored, intact = _stored(folder)
    if source is not None and is_built(Path(source)):
        return _take_over(open_built(Path(source)), codec, folder, stored if intact else None, progress)
    if stored is not None and not _was_built(stored, source):
        _refuse_other_options(stored, folder, held_out, codec)
    try:
        origin = find_source(source, column=text_column, exclude=[*exclude, folder])
    except InputError:
        if stored is not None and intact and stored.provenance.source == source:
            return gone(stored)
        raise
    if stored is not None and intact and stored.manifest == origin.manifest():
        return stored
    options: dict[str, Option] = {"held_out": held_out, "text_column": text_column, "tokenizer": codec.name}
    request = _Request(
        origin=origin, codec=codec, held_out=held_out, source=source or origin.name, options=options
    )
    return _prepare(request, folder, stored, intact, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What was asked for."""

    origin: Source
    codec: Tokenizer
    held_out: float
    source: str
    options: Mapping[str, Option]


def _prepare(
    request: _Request, folder: Path, stored: Corpus | None, intact: bool, progress: Progress | None
) -> Corpus:
    """Read the source; write what is missing, or refuse if it is not what it was."""
    manifest = request.origin.manifest()
    reading = _read(request)
    if stored is not None and stored.digest != reading.digest:
        raise InputError(
            f"the corpus changed since {folder} was prepared from {stored.name}",
            hint="Bring the old text back, or use another folder.",
        )
    n_bytes = int(reading.census.sizes[reading.split.kept].sum())
    with writing_to(folder, n_bytes):
        if stored is not None and intact:
            return describe(replace(stored, manifest=manifest), folder)
        kept = kept_documents(_text(request.origin, Tally()), reading.census, reading.split)
        written = write_tokens(kept, request.codec, folder, n_bytes=n_bytes, progress=progress)
        _refuse_too_small(request.origin.name, written.tokens[False])
        corpus = publish(_assemble(request, manifest, reading, written), folder)
    return corpus if stored is None else mended(corpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What the first reading found."""

    census: Census
    split: Split
    digest: str
    tally: Tally


def _read(request: _Request) -> _Reading:
    origin, codec, tally = request.origin, request.codec, Tally()
    census = take_census(_text(origin, tally))
    if len(census.sizes) == 0:
        _refuse_no_text(origin, tally)
    least = round(SMALL_HELD_OUT * codec.bytes_per_token)
    split = split_documents(census, share=request.held_out, least_bytes=least)
    # A token is at least a byte, or nearly; what is too small by far is refused before anything is written.
    _refuse_too_small(origin.name, int(census.sizes[split.kept & ~split.held_out].sum() + split.kept.sum()))
    if split.kept.sum() == 1:
        raise InputError(
            f"{origin.name} has only one document, and held-out text is split off by document",
            hint="Give more documents, or a text file itself, which is cut at blank lines.",
        )
    rule = f"share {request.held_out!r}, at least {least} bytes"
    digest = digest_of(codec.digest.encode(), digest_split(census, split, rule=rule).encode())
    return _Reading(census=census, split=split, digest=digest, tally=tally)


def _text(origin: Source, tally: Tally) -> Iterator[bytes]:
    """Yield the documents that hold anything but white space."""
    return (document for document in origin.documents(tally) if document and not document.isspace())


def _take_over(
    built: BuiltCorpus, codec: Tokenizer, folder: Path, stored: Corpus | None, progress: Progress | None
) -> Corpus:
    """Use a corpus that a recipe built."""
    refuse_other_tokenizer(built, codec)
    _refuse_too_small(built.name, built.train_tokens)
    return adopt(built, folder, stored, progress)


def _was_built(stored: Corpus, source: str | None) -> bool:
    """Whether a study goes on with a built corpus that is not there any more."""
    return bool(stored.provenance.options.get("built")) and stored.provenance.source == source


def _stored(folder: Path) -> tuple[Corpus | None, bool]:
    """Return the corpus in `folder`, if there is one, and whether its token files are whole."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Choose another place for the corpus.")
    if not _is_json(folder / MANIFEST):  # never finished, or damaged: to be made again
        return None, False
    stored = open_corpus(folder)
    try:
        stored.train()
        stored.held_out()
    except InputError:
        return stored, False
    return stored, True


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _refuse_other_options(stored: Corpus, folder: Path, held_out: float, codec: Tokenizer) -> None:
    before = stored.provenance.options.get("held_out")
    if before != held_out:
        was = f"with a held-out share of {before}, not {held_out}"
    elif stored.tokenizer_digest != codec.digest:
        same = stored.tokenizer == codec.name
        was = f"with the tokenizer {stored.tokenizer}, not {'another ' * same}{codec.name}"
    else:
        return
    raise InputError(
        f"the corpus in {folder} was prepared {was}", hint="Use the same option, or another folder."
    )


def _refuse_no_text(origin: Source, tally: Tally) -> None:
    left_out = ", ".join(f"{tally[kind]} {kind}" for kind in ("binary", "hidden", "special") if tally[kind])
    raise InputError(
        f"{origin.name} holds no text" + (f" (left out: {left_out})" if left_out else ""),
        hint="Give a text file in UTF-8, a folder of such files, JSONL or Parquet.",
    )


def _refuse_too_small(name: str, n_tokens: int) -> None:
    if n_tokens < MIN_TOKENS:
        raise InputError(
            f"{name} has {format_count(n_tokens)} training tokens and needs at least "
            f"{format_count(MIN_TOKENS)}: a run of 1M would read it {1e6 / n_tokens:.0f} times over",
            hint="Give a larger text.",
        )


def _assemble(request: _Request, manifest: str, reading: _Reading, written: Written) -> Corpus:
    codec = request.codec
    n_kept = int(reading.split.kept.sum())
    corpus = Corpus(
        name=request.origin.name,
        n_documents=n_kept,
        n_held_out_documents=int(reading.split.held_out.sum()),
        n_duplicates=len(reading.census.sizes) - n_kept,
        n_bytes=sum(written.n_bytes.values()),
        train_tokens=written.tokens[False],
        held_out_tokens=written.tokens[True],
        train_bytes=written.n_bytes[False],
        held_out_bytes=written.n_bytes[True],
        bytes_per_token=written.n_bytes[True] / written.tokens[True],
        vocabulary=codec.vocabulary,
        tokenizer=codec.name,
        tokenizer_digest=codec.digest,
        digest=reading.digest,
        manifest=manifest,
        provenance=Provenance(source=request.source, digest=reading.digest, options=request.options),
    )
    return replace(corpus, findings=doubts(corpus, reading.tally, codec))
