"""Which documents are kept, and which of them are held out: decided by contents alone.

Every document has a SHA-256. Equal hashes are one document, the first is kept. Documents are then held
out in the order of their hashes until the share is reached, so that the choice does not depend on where a
document lies or what it is called, and the same contents can never be on both sides. A document larger
than the whole share is passed over, or it alone would be the held-out text.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.errors import RunError

RULE = "documents in the order of their SHA-256 until the share is reached, larger ones passed over, 1"
"""Part of a corpus's digest; to be changed when the rule is."""
LARGEST_SHARE = 0.2
"""No more of a small corpus is held out, even if the held-out text stays short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Hash and size of every document, in the order of the source; 40 bytes a document."""

    hashes: npt.NDArray[np.uint8]
    """SHA-256, shape (n_documents, 32)."""
    sizes: npt.NDArray[np.int64]
    """Bytes, shape (n_documents,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What becomes of each document of a census."""

    kept: npt.NDArray[np.bool_]
    """False for a document that was met before."""
    held_out: npt.NDArray[np.bool_]
    """Kept, but not for training."""


def take_census(documents: Iterable[bytes]) -> Census:
    """Hash every document."""
    hashes, sizes = bytearray(), array("q")
    for document in documents:
        hashes += hashlib.sha256(document).digest()
        sizes.append(len(document))
    return Census(
        hashes=np.frombuffer(bytes(hashes), dtype=np.uint8).reshape(-1, 32),
        sizes=np.array(sizes, dtype=np.int64),
    )


def split_documents(census: Census, *, share: float, least_bytes: int) -> Split:
    """Drop exact duplicates and choose the held-out documents.

    Parameters
    ----------
    census
        At least one document.
    share
        Of the bytes, to be held out.
    least_bytes
        To be held out even if the share is less, but never above `LARGEST_SHARE`.
    """
    first = first_of_equals(census.hashes)
    kept = first == np.arange(len(first))
    unique = in_order_of_hashes(census.hashes, np.flatnonzero(kept))
    total = int(census.sizes[unique].sum())
    target = max(share * total, min(least_bytes, LARGEST_SHARE * total))
    held_out = np.zeros(len(first), dtype=np.bool_)
    held_out[_choose(unique, census.sizes, target)] = True
    return Split(kept=kept, held_out=held_out)


def first_of_equals(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return for each document the number of the first one with the same hash; its own if it is the first.

    The first 128 bits tell documents apart. In memory are 40 bytes a document.
    """
    words = _words(hashes)
    # The sort is stable, so the first of equals stays first.
    order = np.lexsort((words[:, 1], words[:, 0]))
    in_order = words[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first


def in_order_of_hashes(
    hashes: npt.NDArray[np.uint8], numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the numbers of documents, sorted by their hashes."""
    words = _words(hashes[numbers])
    return numbers[np.lexsort((words[:, 1], words[:, 0]))]


def _words(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(hashes[:, :16]).view(">u8")


def _choose(
    unique: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], target: float
) -> npt.NDArray[np.int64]:
    """Return the documents to hold out of `unique`, which is in the order of the hashes."""
    small = unique[sizes[unique] <= target]
    before = np.cumsum(sizes[small]) - sizes[small]
    chosen = small[before < target]
    if sizes[chosen].sum() < target / 2 and len(unique) > len(chosen) + 1:
        large = unique[sizes[unique] > target]
        if len(large):
            chosen = np.append(chosen, large[np.argmin(sizes[large])])
    return chosen


def digest_split(census: Census, split: Split, *, rule: str) -> str:
    """Return the SHA-256 of the kept documents' hashes in order, on which side each is, and `rule`."""
    digest = hashlib.sha256(f"{RULE}\n{rule}\n".encode())
    digest.update(census.hashes[split.kept].tobytes())
    digest.update(np.packbits(split.held_out[split.kept]).tobytes())
    return digest.hexdigest()


def kept_documents(documents: Iterable[bytes], census: Census, split: Split) -> Iterator[tuple[bool, bytes]]:
    """Yield whether it is held out, and the document, for all that are kept, reading them once more.

    Raises
    ------
    RunError
        If a document is not what it was when the census was taken.
    """
    count = 0
    for index, document in enumerate(documents):
        count = index + 1
        if count > len(census.sizes):
            break
        if split.kept[index]:
            if hashlib.sha256(document).digest() != census.hashes[index].tobytes():
                raise _changed()
            yield bool(split.held_out[index]), document
    if count != len(census.sizes):
        raise _changed()


def _changed() -> RunError:
    return RunError(
        "the corpus changed while it was read", hint="Let whatever writes it finish, then run this again."
    )
