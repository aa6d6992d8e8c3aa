"""Documents that passed the filters, on disk as they came, so that later stages read them where they lie.

In memory stay 58 bytes a document: hash, size, place, source, two scores.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.examining import Chunk, Examined
from scalescope.corpora.split import Census

BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """What is known of each document; arrays have one shape, (n_documents,)."""

    path: Path
    census: Census
    starts: npt.NDArray[np.int64]
    """Where each begins in the file, bytes."""
    sources: npt.NDArray[np.uint16]
    compressed: npt.NDArray[np.float32]
    words: npt.NDArray[np.uint32]
    signatures: Path | None

    def __len__(self) -> int:
        return len(self.starts)

    def batches(self, chosen: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
        """Yield numbers and texts of chosen documents, about a megabyte at once, in the order given."""
        sizes = self.census.sizes[chosen]
        edges = np.cumsum(sizes)
        at = 0
        with self.path.open("rb") as file:
            while at < len(chosen):
                limit = (edges[at - 1] if at else 0) + BATCH_BYTES
                end = max(at + 1, int(np.searchsorted(edges, limit, side="right")))
                numbers = chosen[at:end]
                yield numbers, [self._read(file, int(number)) for number in numbers]
                at = end

    def read(self, number: int) -> bytes:
        """Return one document."""
        with self.path.open("rb") as file:
            return self._read(file, number)

    def _read(self, file: BinaryIO, number: int) -> bytes:
        start = int(self.starts[number])
        if file.tell() != start:
            file.seek(start)
        return file.read(int(self.census.sizes[number]))


class SpoolWriter:
    """Writes what a chunk leaves.

    Parameters
    ----------
    folder
        Where the files go.
    signed
        Whether there are signatures.
    """

    def __init__(self, folder: Path, *, signed: bool) -> None:
        self._path = folder / "documents"
        self._signatures = folder / "signatures" if signed else None
        self._hashes = bytearray()
        self._sizes, self._sources = array("q"), array("H")
        self._compressed, self._words = array("f"), array("I")
        self._file = self._path.open("wb")
        self._signed = None if self._signatures is None else self._signatures.open("wb")

    def add(self, chunk: Chunk, found: Examined) -> int:
        """Write the documents that were kept, and return their bytes."""
        self._hashes += found.hashes
        before = self._file.tell()
        for place in found.kept:
            document = chunk.documents[place]
            self._file.write(document)
            self._sizes.append(len(document))
        self._sources.extend([chunk.source] * len(found.kept))
        self._compressed.frombytes(found.compressed.tobytes())
        self._words.frombytes(found.words.tobytes())
        if self._signed is not None and found.signatures is not None:
            self._signed.write(found.signatures.tobytes())
        return self._file.tell() - before

    def close(self) -> Spool:
        """Finish the files and return what is in them."""
        self.abandon()
        sizes = np.array(self._sizes, dtype=np.int64)
        return Spool(
            path=self._path,
            census=Census(hashes=np.frombuffer(self._hashes, dtype=np.uint8).reshape(-1, 32), sizes=sizes),
            starts=np.cumsum(sizes) - sizes,
            sources=np.array(self._sources, dtype=np.uint16),
            compressed=np.array(self._compressed, dtype=np.float32),
            words=np.array(self._words, dtype=np.uint32),
            signatures=self._signatures,
        )

    def abandon(self) -> None:
        """Close the files."""
        self._file.close()
        if self._signed is not None:
            self._signed.close()
