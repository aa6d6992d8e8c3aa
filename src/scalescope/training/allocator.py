"""Let the C library keep freed memory, so that a step does not fault the same pages in again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's options in malloc.h
_LIMIT = 1 << 30


def keep_freed_memory() -> bool:
    """Serve blocks up to 1 GiB from the heap and never shrink it; True where the C library is glibc.

    The activations of a step are freed and asked for again a moment later. glibc by default maps large
    blocks anew each time, and the kernel zeroes every page: `benchmarks/speed.py` measures what that costs.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LIMIT) and mallopt(_TRIM_THRESHOLD, _LIMIT))
