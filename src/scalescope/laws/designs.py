"""Points that fill a box evenly: where laws are drawn, tested and started from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PRIMES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)


def low_discrepancy(n: int, column: int) -> Array:
    """Return one column of the Halton sequence, shape (n,), between 0 and 1."""
    base = PRIMES[column % len(PRIMES)]
    index = np.arange(1, n + 1)
    out, share = np.zeros(n), 1.0
    while index.any():
        share /= base
        out += share * (index % base)
        index //= base
    return out


def spread_over(ranges: Mapping[str, tuple[float, float, bool]], n: int) -> dict[str, Array]:
    """Fill (low, high, logarithmic) ranges with about n points: a grid of one or two, else a sequence."""
    if len(ranges) <= 2:
        side = round(n ** (1 / len(ranges)))
        axes = np.meshgrid(*[np.linspace(0, 1, side)] * len(ranges), indexing="ij")
        shares = [axis.ravel() for axis in axes]
    else:
        shares = [low_discrepancy(n, column) for column in range(len(ranges))]
    out = {}
    for (name, (low, high, logarithmic)), at in zip(ranges.items(), shares, strict=True):
        if logarithmic:
            out[name] = np.exp(np.log(low) + at * (np.log(high) - np.log(low)))
        else:
            out[name] = low + at * (high - low)
    return out
