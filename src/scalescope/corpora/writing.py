"""Tokens to disk: batches through the tokenizer, files written beside their place and renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from scalescope.corpora.corpus import HELD_OUT, MANIFEST, TRAIN, Corpus
from scalescope.corpora.tokens import Tokenizer
from scalescope.errors import RunError, WorkError
from scalescope.points import write_json
from scalescope.units import format_bytes

BATCH_BYTES = 1 << 20
"""Text that is turned into tokens at once."""

Progress = Callable[[int, int], None]
"""Called now and then with the bytes of text written and the bytes there are."""

PARTS = {False: f"{TRAIN}.part", True: f"{HELD_OUT}.part"}
"""Temporary names of the token files by side."""


@dataclass(slots=True, kw_only=True)
class Written:
    """What was written by side: False for training, True for held out."""

    tokens: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    n_bytes: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})


@contextmanager
def writing_to(folder: Path, n_bytes: int) -> Iterator[None]:
    """Make `folder`; if what follows fails, remove the temporary files, and say it in one line.

    Parameters
    ----------
    folder
        Where to write.
    n_bytes
        About how much.

    Raises
    ------
    RunError
        If the disk is full or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for name in (*PARTS.values(), f"{MANIFEST}.part"):
            with suppress(OSError):
                (folder / name).unlink()
        cause = error.__cause__ if isinstance(error, WorkError) else error
        if isinstance(cause, OSError):
            raise RunError(
                f"cannot write the corpus to {folder}: {cause.strerror or cause}",
                hint=f"Free about {format_bytes(n_bytes)} there, or choose another folder.",
            ) from None
        raise


def write_tokens(
    documents: Iterable[tuple[bool, bytes]],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    n_bytes: int,
    progress: Progress | None,
) -> Written:
    """Write the tokens of documents, each with its side, to the temporary files of `folder`."""
    written = Written()
    with ExitStack() as stack:
        files: dict[bool, BinaryIO] = {}
        for side, name in PARTS.items():
            files[side] = stack.enter_context((folder / name).open("wb"))
        for batch in _batched(documents):
            _write_batch(batch, tokenizer, files, written)
            if progress is not None:
                progress(sum(written.n_bytes.values()), n_bytes)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    return written


def publish(corpus: Corpus, folder: Path) -> Corpus:
    """Give the temporary files their names, then write what they are; return `corpus` with their paths."""
    for side, name in ((False, TRAIN), (True, HELD_OUT)):
        (folder / PARTS[side]).replace(folder / name)
    return describe(corpus, folder)


def describe(corpus: Corpus, folder: Path) -> Corpus:
    """Write `corpus.json`, which does not say where it lies, and return `corpus` with its paths."""
    write_json(folder / MANIFEST, replace(corpus, train_file=TRAIN, held_out_file=HELD_OUT).to_dict())
    return corpus.at(folder / TRAIN, folder / HELD_OUT)


def _write_batch(
    batch: list[tuple[bool, bytes]], tokenizer: Tokenizer, files: dict[bool, BinaryIO], written: Written
) -> None:
    encoded = tokenizer.encode([document for _, document in batch])
    for (side, document), tokens in zip(batch, encoded, strict=True):
        files[side].write(tokens.astype(tokens.dtype.newbyteorder("<"), copy=False).tobytes())
        written.tokens[side] += len(tokens)
        written.n_bytes[side] += len(document)


def _batched(documents: Iterable[tuple[bool, bytes]]) -> Iterator[list[tuple[bool, bytes]]]:
    batch: list[tuple[bool, bytes]] = []
    size = 0
    for side, document in documents:
        batch.append((side, document))
        size += len(document)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
