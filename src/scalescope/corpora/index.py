"""One record for each document of a built corpus, in the order of the tokens: a raw file, to be mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError

RECORD = np.dtype(
    [
        ("start", "<u8"),  # first token, counted from the first token of this side
        ("hash", "<u8"),  # first eight bytes of the document's SHA-256, little-endian
        ("tokens", "<u4"),  # its end mark included
        ("bytes", "<u4"),
        ("words", "<u4"),  # runs of letters and digits
        ("compressed", "<f4"),  # size after zlib, level 1, over size
        ("source", "<u4"),  # number of the source in the recipe, from 0
        ("shard", "<u4"),  # number of the file on this side, from 0
    ]
)
"""40 bytes a document."""

Index = npt.NDArray[Any]
"""Structured array of `RECORD`, shape (n_documents,)."""


def map_index(path: Path, n_documents: int) -> Index:
    """Map an index into memory, read-only.

    Raises
    ------
    InputError
        If the file is absent or has another size.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"cannot read the index {path}: {error.strerror}", hint="Build the corpus again."
        ) from None
    if size != n_documents * RECORD.itemsize:
        raise InputError(
            f"{path} has {size} bytes where {n_documents * RECORD.itemsize} were written",
            hint="Build the corpus again.",
        )
    return np.memmap(path, dtype=RECORD, mode="r") if n_documents else np.empty(0, dtype=RECORD)
