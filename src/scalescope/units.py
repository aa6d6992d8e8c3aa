"""The only place where text becomes numbers and numbers become text.

Numbers are read as `70B`, `1.4T`, `3e21`, `250k`; `E` is always the exponent sign, never exa, and a comma
only ever separates thousands. Everything is stored in base units: parameters, tokens, FLOP, bytes, seconds,
nats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scalescope.errors import InputError

SUFFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15}
"""What may stand behind a number, and what it multiplies it by."""
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)"
_AMOUNT = rf"({_DIGITS}(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
_NUMBER = re.compile(rf"\s*{_AMOUNT}\s*([A-Za-z]*)\s*", re.ASCII)
_PIECE = re.compile(rf"\s*{_AMOUNT}\s*([A-Za-z]+)\s*", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_DECIMAL_BYTES = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_LEAST_BUDGET = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may spend: either wall seconds or FLOP; the other is None."""

    seconds: float | None = None
    flop: float | None = None


def parse_count(text: str, *, what: str = "number", such_as: str = "70B, 1.4T, 250k or 3e21") -> float:
    """Read a positive amount such as `70B`, `1.4T`, `3e21`, `1_000_000` or `1,000,000`.

    Parameters
    ----------
    what
        What the amount is, for the message.
    such_as
        Good examples of it, for the hint.

    Raises
    ------
    InputError
        If it is not a number, has an unknown suffix, or is not above zero.
    """
    value = parse_number(text, what=what, such_as=such_as)
    if not 0 < value < math.inf:
        raise InputError(
            f"{what} must be above zero and finite, got {text!r}", hint=f"Write it as {such_as}."
        )
    return value


def parse_number(text: str, *, what: str = "number", such_as: str = "70B, 1.4T, 250k or 3e21") -> float:
    """Read any number, of any sign, with the suffixes of `parse_count`; too large a one is infinite.

    Raises
    ------
    InputError
        If it is not a number or has an unknown suffix.
    """
    bare = text.strip()
    sign = -1.0 if bare.startswith("-") else 1.0
    match = _NUMBER.fullmatch(bare[1:] if bare[:1] in ("-", "+") else bare)
    if match is None or match[2] not in SUFFIXES:
        raise InputError(f"{text!r} is not a {what}", hint=_advice(bare, such_as))
    return sign * _amount(match[1], SUFFIXES[match[2]])


def _advice(text: str, such_as: str) -> str:
    """Say what probably went wrong with a number, else show good ones."""
    match = _NUMBER.fullmatch(text.lstrip("+-"))
    if match is not None and match[2] == "E":
        return f"E is the exponent sign; exa is written {match[1]}e18."
    if match is not None and len(match[2]) == 1 and match[2].upper() in SUFFIXES:
        return f"Suffixes are capitals: {match[1]}{match[2].upper()}."
    if _DECIMAL_COMMA.fullmatch(text):
        return f"A comma separates thousands; write decimals with a point: {text.replace(',', '.')}."
    return f"Write it as {such_as}."


def parse_flop(text: str) -> float:
    """Read an amount of compute such as `3e21`, `3e21 FLOP` or `500P`.

    Raises
    ------
    InputError
        If it is not a positive number, or is a rate or a duration.
    """
    such_as = "3e21 or '3e21 FLOP'"
    if re.search(r"flops|flop\s*/\s*s", text, re.IGNORECASE):
        raise InputError(f"{text!r} may be a rate; an amount is meant", hint=f"Write it as {such_as}.")
    if _is_duration(text):
        raise InputError(
            f"{text!r} is not a compute", hint=f"It reads as a duration; FLOP are meant, such as {such_as}."
        )
    bare = re.sub(r"\s*FLOP\s*$", "", text, flags=re.IGNORECASE)
    return parse_count(bare, what="compute", such_as=such_as)


def _is_duration(text: str) -> bool:
    pieces = list(_PIECE.finditer(text))
    whole = "".join(piece[0] for piece in pieces) == text
    return whole and bool(pieces) and all(piece[2] in _SECONDS for piece in pieces)


def parse_seconds(text: str) -> float:
    """Read a duration such as `50ms`, `90s`, `10m`, `1.5h`, `2d` or `1h 30m`; `m` is minutes.

    Raises
    ------
    InputError
        If it is not a positive duration with units.
    """
    pieces = list(_PIECE.finditer(text))
    whole = "".join(piece[0] for piece in pieces) == text
    total = sum(_amount(piece[1], _SECONDS.get(piece[2], math.nan)) for piece in pieces)
    if not whole or not 0 < total < math.inf:
        raise InputError(f"{text!r} is not a duration", hint="Write it as 90s, 10m, 1.5h or 2d.")
    return total


def parse_bytes(text: str) -> int:
    """Read an amount of memory such as `4GB` (1e9 bytes each) or `512MiB` (2**20 bytes each).

    Raises
    ------
    InputError
        If it is not a positive amount with a unit of bytes.
    """
    found = _PIECE.fullmatch(text)
    units = _BYTES | _DECIMAL_BYTES
    value = _amount(found[1], units.get(found[2], math.nan)) if found else math.nan
    if not 1 <= value < math.inf:
        raise InputError(f"{text!r} is not an amount of memory", hint="Write it as 4GB, 512MiB or 1.5GiB.")
    return round(value)


def parse_budget(text: str) -> Budget:
    """Read a budget: a duration such as `10m`, or FLOP such as `3e15`.

    A bare number is FLOP and must be at least 1e9, which no computer takes a second for: a forgotten unit
    (`10`) or minutes in capitals (`10M`) are not taken for compute.

    Raises
    ------
    InputError
        If it is neither.
    """
    hint = "Write a duration such as 10m, or FLOP such as 3e15."
    if _is_duration(text):
        return Budget(seconds=parse_seconds(text))
    try:
        flop = parse_flop(text)
    except InputError as error:
        raise InputError(f"{text!r} is not a budget", hint=hint) from error
    if flop < _LEAST_BUDGET:
        raise InputError(f"a budget of {text!r} is neither a duration nor a compute", hint=hint)
    return Budget(flop=flop)


def format_significant(value: float, digits: int = 3) -> str:
    """Write with a number of significant digits, never in exponent form for everyday sizes."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if -4 <= _magnitude(value, digits) < 6:
        return _decimal(value, digits)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def format_count(value: float, digits: int = 3) -> str:
    """Write a number of parameters or tokens: `70B`, `1.4T`, `25.3k`."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    magnitude = _magnitude(value, digits)
    if not -4 <= magnitude < 15:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    # The magnitude is taken after rounding, so that 999,999 becomes 1M and not 1000k.
    for power, suffix in ((12, "T"), (9, "B"), (6, "M"), (3, "k")):
        if magnitude >= power:
            return _trimmed(value / 10**power, digits) + suffix
    return _trimmed(value, digits)


def format_flop(value: float) -> str:
    """Write an amount of compute: `5.76e23 FLOP`."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g} FLOP"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)} FLOP"


def format_loss(value: float) -> str:
    """Write a loss in nats with the digits that mean something."""
    return f"{value:.3f}"


def format_factor(value: float) -> str:
    """Write a ratio: `31x`, `1.4x`."""
    return f"{format_significant(value, 2)}x"


def format_percent(value: float) -> str:
    """Write a share or a relative change: 0.013 is `1.3%`; 0.999 is `99.9%`, for only 1 is all."""
    digits = 2
    while 0.99 < value < 1 and digits < 6 and float(f"{100 * value:.{digits}g}") == 100:
        digits += 1
    return f"{format_significant(100 * value, digits)}%"


def format_seconds(value: float) -> str:
    """Write a duration: `150 us`, `12.5 ms`, `42 s`, `9 min 30 s`, `2 h 05 min`, `3 d 4 h`."""
    if not math.isfinite(value):
        return f"{value:g} s"
    if 0 < abs(value) < 0.9995e-3:
        return f"{format_significant(value * 1e6)} us"
    if 0 < abs(value) < 0.095:
        return f"{format_significant(value * 1e3)} ms"
    if value < 59.5:
        return f"{value:.0f} s" if abs(value) >= 9.95 else f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(round(value / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(value / 3600), 24)
    return f"{days} d {hours} h"


def format_bytes(value: float) -> str:
    """Write an amount of memory or disk in binary units: `1.5 GiB`."""
    for unit, size in _BYTES.items():
        if value >= size * 0.9995:
            return f"{_trimmed(value / size, 3)} {unit}"
    return f"{value:.0f} B"


def _amount(digits: str, factor: float) -> float:
    return float(re.sub("[_,]", "", digits)) * factor


def _magnitude(value: float, digits: int) -> int:
    """Power of ten of a finite non-zero value once it is rounded to `digits`."""
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def _decimal(value: float, digits: int) -> str:
    """Round to significant digits and write without exponent: 1234.5 to 3 digits is `1,230`."""
    decimals = digits - 1 - _magnitude(value, digits)
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def _trimmed(value: float, digits: int) -> str:
    """Write like `_decimal`, without the zeros that say nothing."""
    text = _decimal(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text
