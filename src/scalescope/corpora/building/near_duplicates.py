r"""Near-duplicates from signatures: candidates by locality-sensitive hashing, then compared one by one.

A signature is cut into bands of `r` numbers. Documents that agree in all of a band are candidates: two with
Jaccard similarity J become candidates with probability :math:`1 - (1 - J^r)^b` for b bands. `r` is the most
for which this is at least `LEAST_RECALL` at the threshold. Candidates are duplicates if their signatures
agree in at least the threshold's share of places. Duplicates of duplicates are one group, of which the first
document stays.

Bands are sorted one after the other, not kept in tables: 80 bytes a document are in memory at once, and
signatures and bands stay on disk (4 bytes a permutation and 8 a band).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.signatures import Signatures
from scalescope.corpora.ngrams import Hashes, spread

LEAST_RECALL = 0.99
_ROWS_AT_ONCE = 1 << 13
_MOST_ROUNDS = 64
"""Comparisons of one document within one band, at most."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Numbers = npt.NDArray[np.int64]


def band_rows(threshold: float, permutations: int) -> int:
    """Return how many numbers of a signature make a band."""
    rows = 1
    for candidate in range(1, permutations + 1):
        bands = permutations // candidate
        if 1 - (1 - threshold**candidate) ** bands >= LEAST_RECALL:
            rows = candidate
    return rows


def group_near_duplicates(
    path: Path, n_signed: int, chosen: Numbers, *, threshold: float, permutations: int
) -> Numbers:
    """Return for each chosen document the place in `chosen` of the first of its group, often its own.

    Parameters
    ----------
    path
        File of signatures, one for each of `n_signed` documents. A file for the bands is made beside it.
    n_signed
        Signatures in the file.
    chosen
        Documents to compare, ascending.
    threshold
        Least share of equal places.
    permutations
        Numbers in a signature.
    """
    first = np.arange(len(chosen))
    if len(chosen) < 2:
        return first
    rows = band_rows(threshold, permutations)
    shape = (n_signed, permutations)
    bands = path.with_suffix(".bands")
    _write_bands(path, shape, chosen, rows, bands)
    for number in range(permutations // rows):
        keys = np.fromfile(bands, dtype=np.uint64, count=len(chosen), offset=8 * number * len(chosen))
        for leaders, members in _candidates(keys):
            # What one band has joined, no other needs to compare.
            apart = np.flatnonzero(first[leaders] != first[members])
            alike = np.zeros(len(leaders), dtype=np.bool_)
            alike[apart] = _alike(path, shape, chosen[leaders[apart]], chosen[members[apart]], threshold)
            first = _join(first, leaders[alike], members[alike])
    bands.unlink()
    return first


def _write_bands(path: Path, shape: tuple[int, int], chosen: Numbers, rows: int, bands: Path) -> None:
    """Write one number for each band of each document, all of the first band before the second."""
    n_bands = shape[1] // rows
    with bands.open("wb") as file:
        file.truncate(8 * n_bands * len(chosen))
        for at in range(0, len(chosen), _ROWS_AT_ONCE):
            block = _gather(path, shape, chosen[at : at + _ROWS_AT_ONCE])
            cut = block[:, : n_bands * rows].reshape(len(block), n_bands, rows).astype(np.uint64)
            keys: Hashes = np.zeros((len(block), n_bands), dtype=np.uint64)
            for row in range(rows):
                keys = spread(keys * _MULTIPLIER + cut[:, :, row])
            for number in range(n_bands):
                file.seek(8 * (number * len(chosen) + at))
                file.write(np.ascontiguousarray(keys[:, number]).tobytes())


def _candidates(keys: Hashes) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield pairs to compare: in round k every document meets the k-th of those that have its key.

    The receiver decides which pairs are alike.
    """
    order = np.argsort(keys, kind="stable")
    new = np.concatenate(([True], keys[order[1:]] != keys[order[:-1]]))
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(order))
    group = np.repeat(np.arange(len(starts)), sizes)
    place = np.arange(len(order)) - starts[group]
    for turn in range(min(int(sizes.max()) - 1, _MOST_ROUNDS)):
        behind = np.flatnonzero(place > turn)
        yield order[starts[group[behind]] + turn], order[behind]


def _alike(
    path: Path, shape: tuple[int, int], leaders: Numbers, members: Numbers, threshold: float
) -> npt.NDArray[np.bool_]:
    """Return which pairs of signatures agree in enough places."""
    result = np.zeros(len(leaders), dtype=np.bool_)
    for at in range(0, len(leaders), _ROWS_AT_ONCE):
        some = slice(at, at + _ROWS_AT_ONCE)
        same = _gather(path, shape, leaders[some]) == _gather(path, shape, members[some])
        result[some] = same.sum(axis=1) >= threshold * shape[1] - 1e-9
    return result


def _gather(path: Path, shape: tuple[int, int], rows: Numbers) -> Signatures:
    # Mapped anew each time: pages that were read are not held.
    return np.asarray(np.memmap(path, dtype=np.uint32, mode="r", shape=shape)[rows])


def _join(first: Numbers, one: Numbers, other: Numbers) -> Numbers:
    """Join the groups of pairs, and give every document the first of its group."""
    while True:
        low, high = np.minimum(first[one], first[other]), np.maximum(first[one], first[other])
        if (low == high).all():
            return first
        np.minimum.at(first, high, low)
        while not np.array_equal(first[first], first):
            first = first[first]
