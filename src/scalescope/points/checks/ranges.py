"""Columns that do not vary, or too little for a law to be read from them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.evidence import Evidence
from scalescope.points.columns import OUTCOMES
from scalescope.points.findings import Finding
from scalescope.units import format_significant

_FEWEST = 5
"""Rows below which a table is too small to have a range."""
_NARROW = 0.5
"""Decades below which no exponent can be read."""
_FACTORS = ("tokens", "compute", "examples", "characters")


def about_constants(table: Evidence) -> Iterable[Finding]:
    """Tell an outcome or a factor that is the same in every row."""
    if len(table.runs) < _FEWEST:
        return
    names = [name for name in (*_factors(table), *OUTCOMES) if _span(table, name) == 0]
    if names:
        shown = ", ".join(f"{name} = {format_significant(_first(table, name))}" for name in names)
        yield Finding(
            code="RUN023",
            text=f"The same in all {len(table.runs)} rows: {shown}.",
            hint="No law with this column can be fitted; use one without it, or add rows.",
        )


def about_narrow_ranges(table: Evidence) -> Iterable[Finding]:
    """Tell factors that vary by less than half a decade."""
    if len(table.runs) < _FEWEST:
        return
    spans = {name: _span(table, name) for name in _factors(table)}
    narrow = {name: span for name, span in spans.items() if span is not None and 0 < span < _NARROW}
    if narrow:
        shown = ", ".join(f"{name} {format_significant(span, 2)}" for name, span in narrow.items())
        yield Finding(
            code="RUN024",
            text=f"Decades spanned: {shown}.",
            hint="Exponents need a decade or more; add runs farther apart.",
        )


def _factors(table: Evidence) -> list[str]:
    return [name for name in (table.runs.count, *_FACTORS) if name in table.runs and name != table.derived]


def _span(table: Evidence, name: str) -> float | None:
    """Decades from the lowest to the highest; None where the column is absent or holds no two numbers."""
    if name not in table.runs:
        return None
    known = table.runs[name][np.isfinite(table.runs[name])]
    if known.size < 2:
        return None
    low, high = float(known.min()), float(known.max())
    if low == high:
        return 0.0
    return float(np.log10(high / low)) if low > 0 else np.inf


def _first(table: Evidence, name: str) -> float:
    known = table.runs[name][np.isfinite(table.runs[name])]
    return float(known[0])
