"""A built corpus as the corpus of a study: its shards checked and joined into one file in the study's folder.

The study then holds all that its trials need, wherever they run, and stays what it was if the built corpus is
removed. The sources stay known as stretches of the training tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from scalescope.corpora.built import HELD_OUT_INDEX, TRAIN_INDEX, BuiltCorpus
from scalescope.corpora.corpus import HELD_OUT, Corpus, SourceShare
from scalescope.corpora.tokens import Tokenizer
from scalescope.corpora.writing import PARTS, Progress, publish, writing_to
from scalescope.errors import InputError
from scalescope.points import Provenance

_BLOCK_BYTES = 1 << 20


def adopt(built: BuiltCorpus, folder: Path, stored: Corpus | None, progress: Progress | None) -> Corpus:
    """Copy the tokens of a built corpus to `folder`, unless they are there; every byte is checked on the way.

    Parameters
    ----------
    built
        The corpus.
    folder
        Of the study's corpus.
    stored
        What `folder` holds, whole; None for nothing.
    progress
        Told how far the copying has come.

    Raises
    ------
    InputError
        If `folder` holds another corpus, or a shard is damaged; the message names it.
    RunError
        If the disk is full.
    """
    if stored is not None:
        if stored.digest != built.digest:
            raise InputError(
                f"{folder} was prepared from {stored.name}, not from {built.folder}, whose text is another",
                hint="Use another folder for the study.",
            )
        return stored
    built.check_sizes()
    with writing_to(folder, sum(mark.size for mark in built.files.values())):
        _copy(built, [shard.file for shard in built.shards], folder / PARTS[False], progress)
        _copy(built, [HELD_OUT], folder / PARTS[True], None)
        for name in (TRAIN_INDEX, HELD_OUT_INDEX):
            _copy(built, [name], folder / name, None)
        return publish(as_corpus(built), folder)


def as_corpus(built: BuiltCorpus) -> Corpus:
    """Describe a built corpus as a study knows corpora."""
    held_out_bytes = sum(source.held_out_bytes for source in built.sources)
    train_bytes = sum(source.train_bytes for source in built.sources)
    return Corpus(
        name=built.name,
        n_documents=built.train_documents + built.held_out_documents,
        n_held_out_documents=built.held_out_documents,
        n_duplicates=built.n_duplicates,
        n_bytes=train_bytes + held_out_bytes,
        train_tokens=built.train_tokens,
        held_out_tokens=built.held_out_tokens,
        train_bytes=train_bytes,
        held_out_bytes=held_out_bytes,
        bytes_per_token=held_out_bytes / built.held_out_tokens,
        vocabulary=built.vocabulary,
        tokenizer=built.tokenizer,
        tokenizer_digest=built.tokenizer_digest,
        digest=built.digest,
        manifest=built.digest,
        sources=_shares(built),
        findings=built.findings,
        provenance=Provenance(source=built.folder, digest=built.digest, options={"built": True}),
    )


def refuse_other_tokenizer(built: BuiltCorpus, codec: Tokenizer) -> None:
    """Refuse a tokenizer that did not make the tokens.

    Raises
    ------
    InputError
        If `codec` is another; bytes stand for no tokenizer given.
    """
    if codec.name != "bytes" and codec.digest != built.tokenizer_digest:
        raise InputError(
            f"the tokens of {built.folder} were made with {built.tokenizer} "
            f"({built.tokenizer_digest[:12]}), not with {codec.name} ({codec.digest[:12]})",
            hint="Leave the tokenizer out, or build the corpus with it.",
        )


def _shares(built: BuiltCorpus) -> tuple[SourceShare, ...]:
    shares, train, held_out = [], 0, 0
    for source in built.sources:
        shares.append(
            SourceShare(
                name=source.name,
                weight=source.weight,
                train_start=train,
                train_tokens=source.train_tokens,
                train_documents=source.train_documents,
                held_out_start=held_out,
                held_out_tokens=source.held_out_tokens,
                held_out_documents=source.held_out_documents,
            )
        )
        train += source.train_tokens
        held_out += source.held_out_tokens
    return tuple(shares)


def _copy(built: BuiltCorpus, names: Sequence[str], target: Path, progress: Progress | None) -> None:
    total, done = sum(built.files[name].size for name in names), 0
    with target.open("wb") as file:
        for name in names:
            if _append(Path(built.folder) / name, file) != built.files[name].sha256:
                raise InputError(
                    f"{Path(built.folder) / name} is damaged: its SHA-256 is not the one in the manifest",
                    hint="Build the corpus again: the same recipe and sources give the same files.",
                )
            done += built.files[name].size
            if progress is not None:
                progress(done, total)


def _append(path: Path, file: BinaryIO) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()
