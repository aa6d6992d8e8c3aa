"""Numbers that are implausible in the unit that they should be in, and the unit that would explain them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.counting import six_n_d
from scalescope.points.checks.evidence import Evidence
from scalescope.points.conversions import PF_DAY, SHARES
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.units import format_significant

_UNITS = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_COMPUTE_UNITS = {
    "PF-days": PF_DAY,
    "PFLOP": 1e15,
    "EFLOP": 1e18,
    "ZFLOP": 1e21,
    "TFLOP": 1e12,
    "PF-hours": PF_DAY / 24,
    "EF-days": PF_DAY * 1e3,
}
_FEWEST_PARAMS, _FEWEST_TOKENS, _LEAST_COMPUTE = 100.0, 1e4, 1e9
_MOST_TOKENS_PER_PARAM = 1e6


def about_size_and_tokens(table: Evidence) -> Iterable[Finding]:
    """Tell sizes and token counts that look like thousands, millions, billions or trillions."""
    doubtful = [name for name in (table.runs.count, "tokens") if _is_little(table, name)]
    if not doubtful:
        return
    units = _likely_units(table, doubtful)
    mapping = ",".join(f"{name}={unit}" for name, unit in zip(doubtful, units, strict=True))
    yield Finding(
        code="RUN007",
        text="; ".join(f"{name} runs from {_range(table.runs[name])}" for name in doubtful)
        + ", which is implausibly little.",
        hint=f"Base units are meant, 7B or 7e9; if the numbers are scaled, give units {mapping}.",
    )


def _is_little(table: Evidence, name: str) -> bool:
    if name not in table.runs or name == table.derived:
        return False
    middle, ratio = table.median(name), _tokens_per_param(table)
    if name == "tokens":
        return middle < _FEWEST_TOKENS or (middle < 1e6 and ratio < 0.01)
    if table.derived != "tokens" and table.median("tokens") < _FEWEST_TOKENS and middle < 1e5:
        return True  # both are scaled, and their ratio says nothing
    return middle < _FEWEST_PARAMS or (middle < 1e6 and ratio > _MOST_TOKENS_PER_PARAM)


def _tokens_per_param(table: Evidence) -> float:
    """In the median; nan where the table does not have both on its own."""
    if table.derived in (table.runs.count, "tokens"):
        return float("nan")
    _, (N, D) = table.known("size", "tokens")
    return float(np.median(D / N)) if len(N) else float("nan")


def _likely_units(table: Evidence, doubtful: list[str]) -> list[str]:
    """The units that make tokens per parameter likeliest, or C = 6 N D where the compute is there."""
    runs, best, least = table.runs, ["B"] * len(doubtful), np.inf
    size = 1e9 if table.derived == runs.count else table.median(runs.count, 1e9)
    tokens = np.nan if table.derived == "tokens" else table.median("tokens")
    compute = np.nan if table.derived else table.median("compute")
    for first in _UNITS:
        for second in _UNITS if len(doubtful) > 1 else ("",):
            units = [first, second] if second else [first]
            scale = dict(zip(doubtful, (_UNITS[unit] for unit in units), strict=True))
            N, D = size * scale.get(runs.count, 1.0), tokens * scale.get("tokens", 1.0)
            off = abs(np.log10(N / 3e8)) / 4 + (abs(np.log10(D / N / 50)) if np.isfinite(D) else 0.0)
            if compute > _LEAST_COMPUTE and np.isfinite(D):
                off += 10 * abs(np.log10(compute / (6 * N * D)))
            if off < least:
                best, least = units, off
    return best


def about_compute(table: Evidence) -> Iterable[Finding]:
    """Tell a compute that looks like PF-days or another large unit."""
    if not table.has("compute") or table.derived == "compute":
        return
    _, ratio = six_n_d(table)
    unit = ""
    if len(ratio) and float(np.median(ratio)) < 1e-6:
        near = float(np.median(ratio))
        unit = next((name for name, size in _COMPUTE_UNITS.items() if 0.5 < near * size < 2), "")
    elif not table.median("compute") < _LEAST_COMPUTE:
        return
    if _is_little(table, table.runs.count) or _is_little(table, "tokens"):
        return  # the scale of the others has to be settled first
    yield Finding(
        code="RUN010",
        text=f"compute runs from {_range(table.runs.compute)}, which is implausibly little in FLOP.",
        hint=f"Give units compute={unit}, with which it is 6 N D."
        if unit
        else "If it is in PF-days, give units compute=PF-days (8.64e19 FLOP each); 1e15 and 1e18 work too.",
    )


def about_percent(table: Evidence) -> Iterable[Finding]:
    """Tell shares that look like percent."""
    names = [name for name in SHARES if name in table.runs and _is_percent(name, table.runs[name])]
    if names:
        shown = "; ".join(f"{name} runs from {_range(table.runs[name])}" for name in names)
        mapping = ",".join(f"{name}=%" for name in names)
        yield Finding(
            code="RUN011",
            text=f"{shown}, but a share is at most 1.",
            hint=f"If it is in percent, give units {mapping}.",
        )


def _is_percent(name: str, column: Array) -> bool:
    known = column[np.isfinite(column)]
    if not known.size or known.max() > 100:
        return False
    # Errors other than a share of wrong answers may be above 1 now and then.
    return bool(np.median(known) > 1 if name == "error" else known.max() > 1.0 + 1e-6)


def about_shares(table: Evidence) -> Iterable[Finding]:
    """Tell shares of domains that add up to more than the whole."""
    names = [name for name in SHARES if name.startswith("share_") and name in table.runs]
    if len(names) < 2 or any(_is_percent(name, table.runs[name]) for name in names):
        return
    total = np.nansum([table.runs[name] for name in names], axis=0)
    rows = np.flatnonzero(total > 1.01)
    if rows.size:
        yield Finding(
            code="RUN012",
            text=f"The shares of the domains add up to more than 1 in {table.labels(rows)}.",
            hint="Check that every share is of the same whole.",
        )


def _range(column: Array) -> str:
    known = column[np.isfinite(column)]
    if not known.size:
        return "nothing"
    return f"{format_significant(float(known.min()))} to {format_significant(float(known.max()))}"
