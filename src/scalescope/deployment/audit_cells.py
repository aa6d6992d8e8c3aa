"""One cell of anybody's result table: a number with or without a unit, a failure in words, or nothing."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from scalescope.errors import InputError
from scalescope.units import parse_number

BYTES = {"b": 1.0, "byte": 1.0, "bytes": 1.0} | {
    f"{letter}{binary}b": (1024.0 if binary else 1000.0) ** power
    for power, letter in enumerate("kmgt", 1)
    for binary in ("", "i")
}
"""Units of memory in lower case, in bytes; GB is 1e9, GiB 2**30."""

SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
"""Units of time in lower case, in seconds."""

_RATES = dict.fromkeys(("tok/s", "tokens/s", "tokens/sec", "token/s", "t/s", "tps"), 1.0)
_UNITS = SECONDS | BYTES | _RATES
_LEAST, _MOST = 1e-30, 1e30
"""No figure of a benchmark is beyond; what is would overflow in a product."""
_BLANK = {"", "-", "--", "—", "–", "nan", "none", "null", "."}
_FAILED = re.compile(
    r"^[✗✘❌×✕]|\b(oom|out.of.memory|fail\w*|err(or)?\w*|crash\w*|killed|time.?out|unsupported|dnf|n/?a)\b"
    r"|^not (supported|run)|^x$|^no$|^false$|^[+-]?inf(inity)?$",
    re.IGNORECASE,
)
_MARKS = "✓✔✅☑√*~≈`"
_WITH_UNIT = re.compile(r"([+-]?[0-9][0-9.,_]*(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Zµμ/]*)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a cell says."""

    value: float | None = None
    """As written, before the unit of its column."""
    factor: float | None = None
    """To the base unit, where the cell itself names a unit; None where its column does."""
    failed: str = ""
    """The words, where it says that nothing was measured: `OOM`, `N/A`."""
    unreadable: bool = False

    def times(self, factor: float) -> float | None:
        """Return the value in the base unit, `factor` being that of the column."""
        return None if self.value is None else self.value * (factor if self.factor is None else self.factor)


def read_cell(cell: Any) -> Reading:
    """Take one cell apart; nothing is refused: what is neither number, failure nor blank is unreadable."""
    if cell is None:
        return Reading()
    if isinstance(cell, bool):
        return Reading() if cell else Reading(failed="false")
    if isinstance(cell, (int, float)):
        return _finite(float(cell))
    text = str(cell).strip()
    if text[-1:].isdigit() and (plain := _plain(text)) is not None:
        return plain
    if text.lower() in _BLANK:
        return Reading()
    if _FAILED.search(text):
        return Reading(failed=text.lstrip("✗✘❌×✕ ") or "failed")
    return _number(text.strip(_MARKS + " ").split("±")[0].strip())


def _plain(text: str) -> Reading | None:
    """Read a bare number the short way; nearly every cell is one."""
    try:
        return _finite(float(text))
    except ValueError:
        return None


def _number(text: str) -> Reading:
    match = _WITH_UNIT.fullmatch(text)
    unit = match[2].lower() if match else ""
    if match and unit in _UNITS and match[2] != "B":  # 7B is a count of parameters
        text, factor = match[1], _UNITS[unit]
    else:
        factor = None
    try:
        reading = _finite(parse_number(text))
    except InputError:
        return Reading(unreadable=True)
    return reading if factor is None else replace(reading, factor=factor)


def _finite(value: float) -> Reading:
    if math.isnan(value):
        return Reading()
    if math.isinf(value):
        return Reading(failed=f"{value:g}")
    absurd = value != 0 and not _LEAST < abs(value) < _MOST
    return Reading(unreadable=True) if absurd else Reading(value=value)
