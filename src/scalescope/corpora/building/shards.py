"""Documents to shards: tokens of one source after another, a record for each document."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.spool import Spool
from scalescope.corpora.built import HELD_OUT_INDEX, TRAIN_INDEX, FileMark, Shard
from scalescope.corpora.corpus import HELD_OUT
from scalescope.corpora.index import RECORD
from scalescope.corpora.tokens import Tokenizer, Tokens

NO_LIMIT = 2**63


@dataclass(slots=True, kw_only=True)
class Side:
    """What was written of one side of the split."""

    shards: list[Shard] = field(default_factory=list)
    files: dict[str, FileMark] = field(default_factory=dict)
    n_tokens: int = 0


class _HashedFile:
    """A file that knows its SHA-256 when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> FileMark:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return FileMark(size=self.size, sha256=self._digest.hexdigest())


class _ShardWriter:
    """Writes the shards of one side, a new one where a source begins or a shard is full."""

    def __init__(self, folder: Path, name: str, most_tokens: int) -> None:
        self._folder, self._name, self._most = folder, name, most_tokens
        self._file: _HashedFile | None = None
        self._source = self._n_tokens = self._n_documents = 0
        self.side = Side()

    def add(self, source: int, tokens: Tokens) -> int:
        """Write one document, and return the number of its shard."""
        full = self._n_documents > 0 and self._n_tokens + len(tokens) > self._most
        if self._file is None or full or (source != self._source and self._most < NO_LIMIT):
            self.end()
            self._file = _HashedFile(self._folder / self._file_name())
        self._source = source
        self._file.write(tokens.astype(tokens.dtype.newbyteorder("<"), copy=False).tobytes())
        self._n_tokens += len(tokens)
        self._n_documents += 1
        self.side.n_tokens += len(tokens)
        return len(self.side.shards)

    def end(self) -> None:
        """Finish the shard that is open."""
        if self._file is None:
            return
        name = self._file_name()
        self.side.files[name] = self._file.close()
        self.side.shards.append(
            Shard(file=name, source=self._source, n_tokens=self._n_tokens, n_documents=self._n_documents)
        )
        self._file, self._n_tokens, self._n_documents = None, 0, 0

    def _file_name(self) -> str:
        return self._name.format(len(self.side.shards))


def write_shards(
    spool: Spool, chosen: npt.NDArray[np.int64], tokenizer: Tokenizer, folder: Path, most_tokens: int
) -> Side:
    """Write the training documents as shards of about `most_tokens`."""
    return _write(spool, chosen, tokenizer, folder, ("train-{:05}.bin", TRAIN_INDEX), most_tokens)


def write_held_out(spool: Spool, chosen: npt.NDArray[np.int64], tokenizer: Tokenizer, folder: Path) -> Side:
    """Write the held-out documents of all sources into one file."""
    return _write(spool, chosen, tokenizer, folder, (HELD_OUT, HELD_OUT_INDEX), NO_LIMIT)


def _write(
    spool: Spool,
    chosen: npt.NDArray[np.int64],
    tokenizer: Tokenizer,
    folder: Path,
    names: tuple[str, str],
    most_tokens: int,
) -> Side:
    writer = _ShardWriter(folder, names[0], most_tokens)
    index = _HashedFile(folder / names[1])
    for numbers, documents in spool.batches(chosen):
        encoded = tokenizer.encode(documents)
        records = _records(spool, numbers, encoded, writer.side.n_tokens)
        for place, tokens in enumerate(encoded):
            records["shard"][place] = writer.add(int(records["source"][place]), tokens)
        index.write(records.tobytes())
    writer.end()
    writer.side.files[names[1]] = index.close()
    return writer.side


def _records(
    spool: Spool, numbers: npt.NDArray[np.int64], encoded: list[Tokens], start: int
) -> npt.NDArray[np.void]:
    records = np.zeros(len(numbers), dtype=RECORD)
    counts = np.array([len(tokens) for tokens in encoded], dtype=np.uint64)
    records["start"] = start + np.cumsum(counts) - counts
    records["tokens"] = counts
    records["hash"] = np.ascontiguousarray(spool.census.hashes[numbers, :8]).view("<u8")[:, 0]
    records["bytes"] = spool.census.sizes[numbers]
    records["words"] = spool.words[numbers]
    records["compressed"] = spool.compressed[numbers]
    records["source"] = spool.sources[numbers]
    return records
