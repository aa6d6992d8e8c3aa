"""The only place where text becomes numbers and numbers become text.

Numbers are read as `70B`, `1.4T`, `3e21`, `250k`; `E` is always the exponent sign, never exa. Everything is
stored in base units: parameters, tokens, FLOP, bytes, seconds, nats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scalescope.errors import InputError

_SUFFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15}
_NUMBER = re.compile(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may spend: either wall seconds or FLOP; the other is None."""

    seconds: float | None = None
    flop: float | None = None


def parse_count(text: str, *, what: str = "number") -> float:
    """Read a positive amount such as `70B`, `1.4T`, `3e21` or `1_000_000`.

    Raises
    ------
    InputError
        If it is not a number, has an unknown suffix, or is not above zero.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in _SUFFIXES:
        raise InputError(f"{text!r} is not a {what}", hint="Write it as 70B, 1.4T, 250k or 3e21.")
    value = float(re.sub("[_,]", "", match[1])) * _SUFFIXES[match[2]]
    if not 0 < value < math.inf:
        raise InputError(f"{what} must be above zero and finite, got {text!r}")
    return value


def parse_seconds(text: str) -> float:
    """Read a duration such as `90s`, `10m`, `1.5h` or `2d`.

    Raises
    ------
    InputError
        If it is not a positive duration with a unit.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in _SECONDS or float(match[1]) <= 0:
        raise InputError(f"{text!r} is not a duration", hint="Write it as 90s, 10m, 1.5h or 2d.")
    return float(match[1]) * _SECONDS[match[2]]


def parse_budget(text: str) -> Budget:
    """Read a budget: a duration such as `10m`, or FLOP such as `3e15`.

    A bare number is FLOP and must be at least 1e6, so that a forgotten unit is not taken for compute.

    Raises
    ------
    InputError
        If it is neither.
    """
    match = _NUMBER.fullmatch(text)
    if match is not None and match[2] in _SECONDS:
        return Budget(seconds=parse_seconds(text))
    hint = "Write a duration such as 10m, or FLOP such as 3e15."
    if match is None or match[2] not in _SUFFIXES:
        raise InputError(f"{text!r} is not a budget", hint=hint)
    flop = parse_count(text, what="budget")
    if flop < 1e6:
        raise InputError(f"a budget of {text!r} is neither a duration nor a compute", hint=hint)
    return Budget(flop=flop)


def format_significant(value: float, digits: int = 3) -> str:
    """Write with a number of significant digits, never in exponent form for everyday sizes."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if -4 <= magnitude < 6:
        rounded = round(value, digits - 1 - magnitude)
        return f"{rounded:,.{max(digits - 1 - magnitude, 0)}f}"
    return f"{value:.{digits - 1}e}".replace("e+", "e").replace("e-0", "e-").replace("e0", "e")


def format_count(value: float, digits: int = 3) -> str:
    """Write a number of parameters or tokens: `70B`, `1.4T`, `25.3k`."""
    for limit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        # 999,999 would round to 1000k: let it be 1M.
        if abs(value) >= limit * (1 - 0.5 * 10**-digits):
            return f"{value / limit:.{digits}g}{suffix}" if abs(value) < 1e15 else f"{value:.{digits - 1}e}"
    return f"{value:.{digits}g}"


def format_flop(value: float) -> str:
    """Write an amount of compute: `5.76e23 FLOP`."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)} FLOP"


def format_loss(value: float) -> str:
    """Write a loss in nats with the digits that mean something."""
    return f"{value:.3f}"


def format_factor(value: float) -> str:
    """Write a ratio: `31x`, `1.4x`."""
    return f"{format_significant(value, 2)}x"


def format_percent(value: float) -> str:
    """Write a share or a relative change: 0.013 is `1.3%`."""
    return f"{format_significant(100 * value, 2)}%"


def format_seconds(value: float) -> str:
    """Write a duration: `42 s`, `9 min 30 s`, `2 h 05 min`."""
    if value < 60:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def format_bytes(value: float) -> str:
    """Write an amount of memory or disk in binary units: `1.5 GiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if value >= _BYTES[unit]:
            return f"{value / _BYTES[unit]:.3g} {unit}"
    return f"{value:.0f} B"
