"""A column of a bench table: what it is called, its unit, how it is computed, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from scalescope.units import format_bytes, format_count, format_flop, format_percent, format_significant

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.  Values are in base units; `show` writes them."""

    name: str
    """Identifier, unique in its table."""
    title: str
    """As printed; the study's own words where `study`."""
    unit: str
    definition: str
    """How it is computed, and over which models."""
    better: Better | None = None
    """None where neither way is."""
    study: bool = False
    """Whether it is a column of the model study, computed by the study's formula."""

    def show(self, value: float | str | None) -> str:
        """Write a value of this column with its unit; a dash for none."""
        if value is None or isinstance(value, str):
            return value or "-"
        if not math.isfinite(value):
            return "-"
        return _WRITERS.get(self.unit, format_significant)(value)


def format_duration(value: float) -> str:
    """Write seconds with three digits in the unit that suits: `1.23 ms`, `45.6 s`."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size * 0.9995:
            return f"{format_significant(value / size)} {unit}"
    return f"{format_significant(value)} s"


_WRITERS: Mapping[str, Callable[[float], str]] = {
    "bytes": format_bytes,
    "bytes/s": lambda value: f"{format_bytes(value)}/s",
    "s": format_duration,
    "parameters": format_count,
    "models": lambda value: f"{value:.0f}",
    "tokens": lambda value: f"{value:.0f}",
    "tokens/s": format_count,
    "share": format_percent,
    "FLOP/s": lambda value: f"{format_flop(value)}/s",
    "J/token": lambda value: f"{format_significant(value)} J",
}
"""Unit to how its values are written; anything else with three digits."""
