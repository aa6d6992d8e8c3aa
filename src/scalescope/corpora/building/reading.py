"""The first reading: every document of every source once, through the filters, onto the spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from scalescope.corpora.building.examining import Chunk, Examination, examine
from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.spool import Spool, SpoolWriter
from scalescope.corpora.building.stages import Stage
from scalescope.corpora.building.workers import in_order
from scalescope.corpora.documents import Tally
from scalescope.corpora.sources import Source
from scalescope.units import format_bytes

CHUNK_BYTES = 1 << 20
CHUNK_DOCUMENTS = 2048

Progress = Callable[[str], None]
"""Called now and then with what is being done and how far it has come."""


def read_sources(
    recipe: Recipe,
    origins: Sequence[Source],
    folder: Path,
    *,
    n_workers: int,
    tally: Tally,
    progress: Progress,
) -> tuple[Spool, list[Stage]]:
    """Read, filter, hash and sign all documents.

    Parameters
    ----------
    recipe
        What is asked for.
    origins
        The recipe's sources, opened.
    folder
        Where the spool is written.
    n_workers
        Processes that share the work.
    tally
        Takes the counts of what is no document.
    progress
        Told how far the reading has come.
    """
    asked = Examination(
        filters=recipe.filters, near=recipe.duplicates.near, seed=recipe.seed, most_samples=recipe.samples
    )
    reading, stages = Stage(name="read", most_samples=recipe.samples), asked.stages()
    spooling = Stage(name="spool")
    writer = SpoolWriter(folder, signed=recipe.duplicates.near is not None)
    try:
        chunks = _chunks(recipe, origins, reading, tally)
        for chunk, found in in_order(partial(examine, asked), chunks, n_workers):
            for stage, part in zip(stages, found.stages, strict=True):
                stage.add(part)
            with spooling.timed():
                n_bytes = writer.add(chunk, found)
            spooling.kept(n_bytes, len(found.kept))
            progress(f"reading: {reading.documents_in:,} documents, {format_bytes(reading.bytes_in)}")
    finally:
        writer.abandon()
    return writer.close(), [reading, *stages, spooling]


def _chunks(recipe: Recipe, origins: Sequence[Source], stage: Stage, tally: Tally) -> Iterator[Chunk]:
    """Yield the documents of all sources that hold anything but white space, about a megabyte at once."""
    for number, (source, origin) in enumerate(zip(recipe.sources, origins, strict=True)):
        documents: list[bytes] = []
        size = 0
        for document in _timed(origin.documents(tally), stage):
            if not document or document.isspace():
                stage.documents_in += 1
                stage.bytes_in += len(document)
                stage.reasons["no text"] += 1
                continue
            stage.kept(len(document))
            documents.append(document)
            size += len(document)
            if size >= CHUNK_BYTES or len(documents) >= CHUNK_DOCUMENTS:
                yield Chunk(source=number, name=source.name, documents=documents)
                documents, size = [], 0
        if documents:
            yield Chunk(source=number, name=source.name, documents=documents)


def _timed(documents: Iterator[bytes], stage: Stage) -> Iterator[bytes]:
    """Count the seconds that a source takes, and not those of whoever asks it."""
    while True:
        started = perf_counter()
        document = next(documents, None)
        stage.seconds += perf_counter() - started
        if document is None:
            return
        yield document
