"""What is done to each document alone, so by any process: filters, hash, compressibility, signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.recipe import NearRecipe
from scalescope.corpora.building.signatures import Signatures, sign
from scalescope.corpora.building.stages import Stage, sample_of
from scalescope.corpora.filters import Filter, Text, compressed_share, first_outside
from scalescope.units import format_significant

HASHES, SIGNATURES = "hashes", "near-duplicates: signatures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to do to every document."""

    filters: tuple[Filter, ...]
    near: NearRecipe | None
    seed: int
    most_samples: int

    def stages(self) -> list[Stage]:
        """Return an empty record of each stage, in order."""
        names = [*(f"filter {one.name}" for one in self.filters), HASHES]
        if self.near is not None:
            names.append(SIGNATURES)
        return [Stage(name=name, most_samples=self.most_samples) for name in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Documents that follow one another in one source, about a megabyte."""

    source: int
    name: str
    """Of the source."""
    documents: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found out about a chunk; arrays have a place for each document that is kept."""

    kept: list[int]
    """Places in the chunk."""
    hashes: bytes
    """SHA-256, 32 bytes each."""
    compressed: npt.NDArray[np.float32]
    """Compressed size over size."""
    words: npt.NDArray[np.uint32]
    signatures: Signatures | None
    stages: list[Stage]


def examine(asked: Examination, chunk: Chunk) -> Examined:
    """Look at every document of a chunk."""
    stages = asked.stages()
    texts = [Text(document) for document in chunk.documents]
    places = list(range(len(texts)))
    for wanted, stage in zip(asked.filters, stages, strict=False):
        places = _filter(wanted, stage, texts, places, chunk.name)
    kept = [texts[place] for place in places]
    hashing = stages[len(asked.filters)]
    with hashing.timed():
        hashes = b"".join(hashlib.sha256(text.data).digest() for text in kept)
        compressed = np.array([compressed_share(text.data) for text in kept], dtype=np.float32)
        words = np.array([len(text.words) for text in kept], dtype=np.uint32)
    hashing.kept(sum(len(text.data) for text in kept), len(kept))
    signatures = None
    if asked.near is not None:
        with stages[-1].timed():
            signatures = sign(kept, asked.near, asked.seed)
        stages[-1].kept(hashing.bytes_in, len(kept))
    return Examined(
        kept=places, hashes=hashes, compressed=compressed, words=words, signatures=signatures, stages=stages
    )


def _filter(wanted: Filter, stage: Stage, texts: list[Text], places: list[int], source: str) -> list[int]:
    """Return the places of the texts that a filter keeps."""
    left = []
    started = perf_counter()
    for place in places:
        text = texts[place]
        outside = first_outside(wanted, text)
        if outside is None:
            left.append(place)
            stage.kept(len(text.data))
        else:
            why = f"{outside.reason} ({format_significant(outside.value)})"
            digest = hashlib.sha256(text.data).digest()
            stage.removed(sample_of(text.data, digest, source, why), outside.reason)
    stage.seconds += perf_counter() - started
    return left
