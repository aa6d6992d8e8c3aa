"""Safetensors files seen as a table: where each tensor lies, checked before anything is mapped.

A file is eight bytes with the length of a JSON header, the header, and the tensors without gaps. Headers that
we write are padded with spaces so that the tensors begin on a page of memory.
Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scalescope.errors import InputError

ITEM_BYTES: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
"""Bytes of one number by its name in the format."""

PAGE = mmap.PAGESIZE
_LONGEST_HEADER = 100_000_000
_MADV_POPULATE_READ = 22  # linux/mman.h; Python's mmap has no name for it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One tensor of a file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the beginning of the file."""

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorTable:
    """What a file holds."""

    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str] = field(default_factory=dict)
    data_start: int
    size: int
    """Bytes of the whole file."""


def read_table(path: Path) -> TensorTable:
    """Read and check the header of a safetensors file.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not safetensors.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                raise _damaged(path, "it is truncated, or no safetensors file")
            header = file.read(length)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return _parsed(header, size)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its header is damaged ({error})") from error


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"cannot use {path}: {why}", hint="Download or write the file again.")


def _parsed(header: bytes, size: int) -> TensorTable:
    entries = json.loads(header)
    metadata = entries.pop("__metadata__", None) or {}
    data_start = 8 + len(header)
    tensors = {}
    end = data_start
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        stored = Stored(dtype=entry["dtype"], shape=tuple(map(int, entry["shape"])), start=end)
        first, last = entry["data_offsets"]
        if min(stored.shape, default=0) < 0 or (data_start + first, last - first) != (end, stored.size):
            raise ValueError(f"{name} does not lie where its shape says")
        tensors[name] = stored
        end += stored.size
    if end != size:
        raise ValueError(f"{size - data_start} bytes of tensors where {end - data_start} are announced")
    return TensorTable(tensors=tensors, metadata=dict(metadata), data_start=data_start, size=size)


def lay_out(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str]
) -> tuple[bytes, TensorTable]:
    """Make the header of a file with these tensors (name, type, shape), widest type first.

    Returns
    -------
    tuple
        The first bytes of the file, and its table.
    """
    ordered = sorted(tensors, key=lambda one: (-ITEM_BYTES[one[1]], one[0]))
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, dtype, shape in ordered:
        start, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % PAGE)
    return len(text).to_bytes(8, "little") + text, _parsed(text, 8 + len(text) + end)


def map_private(path: Path) -> mmap.mmap:
    """Map a file; pages are read when they are touched, and writing to them never reaches the file.

    Raises
    ------
    InputError
        If the file cannot be opened or is empty.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot map {path}: {error}") from error


def touch_pages(mapped: mmap.mmap, start: int = 0, size: int | None = None) -> None:
    """Make every page of a range resident."""
    first = start // PAGE * PAGE
    last = len(mapped) if size is None else start + size
    try:
        mapped.madvise(_MADV_POPULATE_READ, first, last - first)
    except (OSError, AttributeError):  # an older kernel, or not Linux
        np.frombuffer(mapped, np.uint8)[first:last:PAGE].sum()


def forget_pages(mapped: mmap.mmap, start: int = 0, size: int | None = None) -> None:
    """Let go of the whole pages inside a range; they come back from the file when touched again."""
    first = -(-start // PAGE) * PAGE
    last = len(mapped) if size is None else (start + size) // PAGE * PAGE
    if last > first and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)


def drop_from_page_cache(path: Path) -> None:
    """Ask the kernel to forget a file, so that the next reading comes from the disk.

    What it cannot forget (pages that another process has mapped) stays; `page_cache_of` tells.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    with path.open("rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def page_cache_of(path: Path) -> Literal["cold", "warm", "unknown"]:
    """Tell whether a file is in memory: warm from 99% of its pages on, cold up to 1%."""
    if not os.access(path, os.W_OK):  # the kernel tells only those who may write to the file
        return "unknown"
    share = _resident_share(path)
    if share is None:
        return "unknown"
    return "warm" if share >= 0.99 else "cold" if share <= 0.01 else "unknown"


def _resident_share(path: Path) -> float | None:
    """Share of a file's pages in memory (`mincore`); None where that cannot be asked."""
    mapped = map_private(path)
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except (OSError, AttributeError):
        return None
    view = np.frombuffer(mapped, np.uint8)
    pages = np.zeros(-(-len(mapped) // PAGE), np.uint8)
    answer = mincore(
        ctypes.c_void_p(view.ctypes.data),
        ctypes.c_size_t(len(mapped)),
        pages.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte)),
    )
    return float((pages & 1).mean()) if answer == 0 else None
