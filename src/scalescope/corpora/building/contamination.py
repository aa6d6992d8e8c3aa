"""Training documents that hold held-out text: found by the long n-grams that both have.

A training document is removed if at least the threshold's share of its n-grams is in held-out text, or if it
holds at least that share of the n-grams of one held-out document: a copy inside a longer text counts too.
Brown et al. 2020 (https://arxiv.org/abs/2005.14165, appendix C) compare 13-grams of words; there a single
one counts, which licence texts and other boilerplate would set off.

In memory are 12 bytes for each different n-gram of the held-out text and a table of 16 MiB, in each process.
Of more than `MOST_NGRAMS`, those with the smallest numbers stand for all, on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.recipe import ContaminationRecipe
from scalescope.corpora.filters import Text
from scalescope.corpora.ngrams import Hashes, Unit, hash_bytes, hash_ngrams

MOST_NGRAMS = 1 << 24
_LAST_BITS = np.uint64((1 << 24) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutNgrams:
    """The n-grams of held-out text, and which document each is from."""

    ngrams: Hashes
    """Ascending."""
    owners: npt.NDArray[np.uint32]
    """The first held-out document that has it, counted from 0."""
    sizes: npt.NDArray[np.int64]
    """How many of `ngrams` each held-out document owns."""
    below: int
    """Only n-grams with smaller numbers count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The n-grams in one process, with a table that tells at once most of those that are not there."""

    held_out: HeldOutNgrams
    maybe: npt.NDArray[np.bool_]
    """By the last bits of an n-gram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What each process needs to search documents."""

    folder: Path
    wanted: ContaminationRecipe
    below: int


def collect_ngrams(
    documents: Iterable[list[bytes]], wanted: ContaminationRecipe, *, most: int = MOST_NGRAMS
) -> HeldOutNgrams:
    """Take the n-grams of held-out documents, given in batches."""
    below, owner = 2**64 - 1, 0
    ngrams: Hashes = np.empty(0, dtype=np.uint64)
    owners: npt.NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
    for batch in documents:
        parts = [ngrams, *(_ngrams_of(document, wanted.ngram, wanted.unit, below) for document in batch)]
        numbers = np.arange(owner, owner + len(batch), dtype=np.uint32)
        owners = np.concatenate((owners, np.repeat(numbers, [len(part) for part in parts[1:]])))
        ngrams, places = np.unique(np.concatenate(parts), return_index=True)
        owners = owners[places]
        owner += len(batch)
        if len(ngrams) > most:
            below = int(ngrams[most])
            ngrams, owners = ngrams[:most].copy(), owners[:most].copy()
    return HeldOutNgrams(
        ngrams=ngrams, owners=owners, sizes=np.bincount(owners, minlength=owner), below=below
    )


def publish_ngrams(found: HeldOutNgrams, folder: Path) -> int:
    """Write n-grams where other processes can map them, and return the number they stay below."""
    for name in ("ngrams", "owners", "sizes"):
        getattr(found, name).tofile(folder / name)
    return found.below


def overlaps(search: Search, batch: tuple[npt.NDArray[np.int64], list[bytes]]) -> tuple[list[float], float]:
    """Return the greater of the two shares for each document of a batch, and the seconds that took."""
    opened = _open(search.folder, search.below)
    started = perf_counter()
    shares = [_overlap(document, search.wanted, opened) for document in batch[1]]
    return shares, perf_counter() - started


def _overlap(document: bytes, wanted: ContaminationRecipe, opened: _Opened) -> float:
    held_out = opened.held_out
    ngrams = _ngrams_of(document, wanted.ngram, wanted.unit, held_out.below)
    likely = ngrams[opened.maybe[ngrams & _LAST_BITS]]
    if not len(likely):
        return 0.0
    places = np.searchsorted(held_out.ngrams, likely)
    places[places == len(held_out.ngrams)] = 0
    places = places[held_out.ngrams[places] == likely]
    if not len(places):
        return 0.0
    owners, counts = np.unique(held_out.owners[np.unique(places)], return_counts=True)
    return max(len(places) / len(ngrams), float((counts / held_out.sizes[owners]).max()))


def _ngrams_of(document: bytes, n: int, unit: Unit, below: int) -> Hashes:
    """Return the n-grams of a document in order; none if it is shorter than one."""
    units = Text(document).word_hashes if unit == "words" else hash_bytes(document)
    ngrams = hash_ngrams(units, n)
    return ngrams if below == 2**64 - 1 else ngrams[ngrams < np.uint64(below)]


@lru_cache(maxsize=1)
def _open(folder: Path, below: int) -> _Opened:
    held_out = HeldOutNgrams(
        ngrams=np.fromfile(folder / "ngrams", dtype=np.uint64),
        owners=np.fromfile(folder / "owners", dtype=np.uint32),
        sizes=np.fromfile(folder / "sizes", dtype=np.int64),
        below=below,
    )
    maybe = np.zeros(int(_LAST_BITS) + 1, dtype=np.bool_)
    maybe[held_out.ngrams & _LAST_BITS] = True
    return _Opened(held_out=held_out, maybe=maybe)
