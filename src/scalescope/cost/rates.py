"""How fast a machine multiplies, attends, copies and starts operations: measured, read off between points.

A product of few rows waits for its weights and one of many rows for the arithmetic; a table over rows, width
in and width out holds both and what lies between.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, ClassVar

from scalescope.errors import InputError
from scalescope.points import BenchMachine, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class MatmulTable:
    """Rates of matrix products over a grid of shapes, for one type."""

    rows: tuple[int, ...]
    """Ascending, as are the others."""
    inner: tuple[int, ...]
    columns: tuple[int, ...]
    flop_per_s: tuple[float, ...]
    """Rows slowest, columns fastest."""
    peak: float = 0.0
    """Best rate of all, also of products that fit a cache."""

    def __post_init__(self) -> None:
        axes = (self.rows, self.inner, self.columns)
        size = math.prod(len(axis) for axis in axes)
        if not size or size != len(self.flop_per_s):
            raise InputError(
                f"matmul table: {len(self.flop_per_s)} rates for a grid of {size}",
                hint="Measure the machine again: `scalescope bench --calibrate`.",
            )
        if any(sorted(set(axis)) != list(axis) or axis[0] < 1 for axis in axes) or min(self.flop_per_s) <= 0:
            raise InputError(
                "matmul table: axes must ascend from 1 on and rates be above 0",
                hint="Measure the machine again: `scalescope bench --calibrate`.",
            )

    def rate(self, rows: float, inner: float, columns: float) -> float:
        """FLOP/s of a shape: geometric mean of its neighbours, constant beyond the grid."""
        places = [
            _place(axis, value)
            for axis, value in zip((self.rows, self.inner, self.columns), (rows, inner, columns), strict=True)
        ]
        log = 0.0
        for corner in product(*places):
            weight = corner[0][1] * corner[1][1] * corner[2][1]
            if weight:
                log += weight * math.log(self.flop_per_s[self._index(*(place for place, _ in corner))])
        return math.exp(log)

    @property
    def ceiling(self) -> float:
        """Best rate of all: nothing that runs here may be faster."""
        return max(self.peak, *self.flop_per_s)

    def _index(self, row: int, inner: int, column: int) -> int:
        return (row * len(self.inner) + inner) * len(self.columns) + column


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A rate over a size, both measured."""

    sizes: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.rates) or min(*self.sizes, *self.rates) <= 0:
            raise InputError(
                "a measured rate needs as many sizes as rates, all above 0",
                hint="Measure the machine again: `scalescope bench --calibrate`.",
            )

    def at(self, size: float) -> float:
        """Rate at a size: log-log between points, constant beyond them."""
        (low, share), (high, rest) = _place(self.sizes, size)
        return math.exp(share * math.log(self.rates[low]) + rest * math.log(self.rates[high]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One machine with one number of threads.  Made by `scalescope.inference.calibrate`."""

    schema: ClassVar[str] = "scalescope.rates/1"

    device: str = "cpu"
    name: str = ""
    """Of the processor or accelerator."""
    threads: int = 1
    matmul: Mapping[str, MatmulTable] = field(default_factory=dict)
    """By type."""
    sdpa: Mapping[str, Curve] = field(default_factory=dict)
    """FLOP/s of fused attention, every score computed, over the length; by type."""
    copy: Curve
    """Bytes read and written a second, over the bytes of what is copied."""
    launch_s: float
    """Fixed cost of one small module."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    """Processor time that measuring took."""

    @property
    def bandwidth(self) -> float:
        """Bytes a second of what is too large for a cache."""
        return self.copy.rates[-1]

    def ceiling(self, dtype: str) -> float | None:
        """Best FLOP/s of a type; None if it was not measured."""
        table = self.matmul.get(dtype)
        return None if table is None else table.ceiling

    def machine(self, **facts: Any) -> BenchMachine:
        """Describe the machine for a bench; `facts` are further fields of `BenchMachine`."""
        return BenchMachine(
            **{
                "device": self.device,
                "device_name": self.name,
                "threads": self.threads,
                "matmul_flop_per_s": {dtype: table.ceiling for dtype, table in self.matmul.items()},
                "copy_bytes_per_s": self.bandwidth,
                "libraries": self.libraries,
                **facts,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rates:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)


def _place(axis: Sequence[float], value: float) -> tuple[tuple[int, float], tuple[int, float]]:
    """Two neighbours on an axis with their weights, linear in the logarithm."""
    if value <= axis[0]:
        return (0, 1.0), (0, 0.0)
    if value >= axis[-1]:
        return (len(axis) - 1, 1.0), (len(axis) - 1, 0.0)
    high = bisect_right(axis, value)
    share = math.log(value / axis[high - 1]) / math.log(axis[high] / axis[high - 1])
    return (high - 1, 1.0 - share), (high, share)
