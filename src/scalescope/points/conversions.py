r"""Units that a column may be given in, and their conversion to and from the base unit; never a guess.

1 PF-day is :math:`10^{15} \cdot 86400 = 8.64 \cdot 10^{19}` FLOP. A loss of b bits is :math:`b \ln 2`
nats; one of b bits per byte is :math:`b \ln 2` times the bytes of a token in nats per token; a perplexity p
is :math:`\ln p` nats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points.columns import COLUMNS
from scalescope.points.estimates import Array

PF_DAY = 8.64e19
"""FLOP in a petaflop/s-day."""
BITS = float(np.log(2))
"""Nats in a bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How numbers in this unit become the base unit of their column, and back."""

    forward: Callable[[Array], Array]
    """To the base unit."""
    back: Callable[[Array], Array]
    """From the base unit."""
    slope: Callable[[Array], Array]
    """Base units for a small unit at a value in this unit; what a standard error is multiplied by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRates:
    """What one token is of the text, needed between units per token and units per byte or character."""

    bytes_per_token: float | None = None
    characters_per_token: float | None = None

    def __post_init__(self) -> None:
        for name in ("bytes_per_token", "characters_per_token"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise InputError(f"{name} must be above zero, got {value}", hint="English text has about 4.")

    def per_byte(self) -> float:
        """Bytes per token.

        Raises
        ------
        InputError
            If it was not given.
        """
        return self._given("bytes_per_token", self.bytes_per_token)

    def per_character(self) -> float:
        """Characters per token.

        Raises
        ------
        InputError
            If it was not given.
        """
        return self._given("characters_per_token", self.characters_per_token)

    def _given(self, name: str, value: float | None) -> float:
        if value is None:
            raise InputError(
                f"this conversion needs {name}", hint=f"Give it among the units, such as {name}=4.2."
            )
        return value


NO_RATES = TextRates()


def to_base(column: str, values: Array, unit: str, rates: TextRates = NO_RATES) -> Array:
    """Convert numbers of a column from `unit` to its base unit, such as a loss from bits to nats.

    Parameters
    ----------
    column
        One of `COLUMNS`; it decides which units there are.
    values
        Any shape.
    unit
        `M`, `B`, `1e21` for any column; `PF-days` and the like for compute; `bits`, `bits/byte`,
        `perplexity`, `log` for a loss; `%` for a share; `characters` or `bytes` for tokens; `h` for seconds.
    rates
        Needed for units per byte or per character.

    Raises
    ------
    InputError
        If the column has no such unit, or a rate is missing.
    """
    with np.errstate(all="ignore"):
        return np.asarray(find_unit(column, unit, rates).forward(np.asarray(values, dtype=np.float64)))


def from_base(column: str, values: Array, unit: str, rates: TextRates = NO_RATES) -> Array:
    """Convert numbers of a column from its base unit to `unit`; see `to_base`.

    Raises
    ------
    InputError
        As in `to_base`.
    """
    with np.errstate(all="ignore"):
        return np.asarray(find_unit(column, unit, rates).back(np.asarray(values, dtype=np.float64)))


def find_unit(column: str, unit: str, rates: TextRates = NO_RATES) -> Unit:
    """Look a unit of a column up.

    Raises
    ------
    InputError
        If there is none; the units of the column are named.
    """
    plain = plain_unit(unit)
    if re.fullmatch(r"1e[0-9]{1,2}", plain):
        return _times(float(plain))
    known = {plain_unit(name): make for name, make in _units_of(column).items()}
    if plain not in known:
        raise InputError(
            f"{column} is not given in {unit!r}", hint=f"{nearest(unit, _units_of(column))} 1e21 works too."
        )
    return known[plain](rates)


def has_unit(column: str, unit: str) -> bool:
    """Whether a column can be given in this unit."""
    plain = plain_unit(unit)
    names = {plain_unit(name) for name in _units_of(column)}
    return plain in names or bool(re.fullmatch(r"1e[0-9]{1,2}", plain))


def plain_unit(unit: str) -> str:
    """Return a unit without what people write differently: case, plurals, hyphens, `per token`."""
    text = re.sub(r"(?<![a-z])per(?![a-z])", "/", unit.strip().lower())
    text = re.sub(r"[\s_-]", "", text).replace("petaflop/s", "pf").replace("pflop/s", "pf")
    text = text.replace("/token", "").replace("char/", "character/")
    text = re.sub(r"s(?=$|/)", "", text) if len(text) > 1 else text
    return _SYNONYMS.get(text, text)


_SYNONYMS = {
    "thousand": "k",
    "million": "m",
    "billion": "b",
    "trillion": "t",
    "g": "b",
    "bpb": "bit/byte",
    "bpc": "bit/character",
    "bit/char": "bit/character",
    "nat/char": "nat/character",
    "percent": "%",
    "ppl": "perplexity",
    "ln": "log",
    "sec": "s",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "day": "d",
    "char": "character",
}

_Makers = Mapping[str, Callable[[TextRates], Unit]]


def _times(factor: float) -> Unit:
    return Unit(
        forward=lambda values: values * factor,
        back=lambda values: values / factor,
        slope=lambda values: np.full_like(values, factor),
    )


def _fixed(factors: Mapping[str, float]) -> _Makers:
    return {name: _always(_times(factor)) for name, factor in factors.items()}


def _always(unit: Unit) -> Callable[[TextRates], Unit]:
    return lambda _: unit


_LOGARITHM = Unit(forward=np.exp, back=np.log, slope=np.exp)
_PERPLEXITY = Unit(forward=np.log, back=np.exp, slope=lambda values: 1 / values)

_SCALES = _fixed({"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12})
_AMOUNTS = _fixed({"FLOP": 1.0, "TFLOP": 1e12, "PFLOP": 1e15, "EFLOP": 1e18, "ZFLOP": 1e21})
_DAYS = _fixed({"PF-days": PF_DAY, "TF-days": PF_DAY / 1e3, "EF-days": PF_DAY * 1e3, "PF-hours": PF_DAY / 24})
_TIME = _fixed({"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0})
_SHARE = _fixed({"%": 0.01})
_PER_TOKEN: _Makers = {
    **_fixed({"nats": 1.0, "bits": BITS}),
    "nats/byte": lambda rates: _times(rates.per_byte()),
    "bits/byte": lambda rates: _times(rates.per_byte() * BITS),
    "nats/character": lambda rates: _times(rates.per_character()),
    "bits/character": lambda rates: _times(rates.per_character() * BITS),
}
_LOSS: _Makers = {
    **_PER_TOKEN,
    "perplexity": _always(_PERPLEXITY),
    "log": _always(_LOGARITHM),
}
_PER_BYTE: _Makers = {
    **_fixed({"bits/byte": 1.0, "nats/byte": 1 / BITS}),
    "nats": lambda rates: _times(1 / (BITS * rates.per_byte())),
    "bits": lambda rates: _times(1 / rates.per_byte()),
}
_TOKENS: _Makers = {
    **_SCALES,
    **_fixed({"tokens": 1.0}),
    "characters": lambda rates: _times(1 / rates.per_character()),
    "bytes": lambda rates: _times(1 / rates.per_byte()),
}
_BY_UNIT: dict[str, _Makers] = {
    "FLOP": {**_AMOUNTS, **_DAYS, **_SCALES},
    "s": _TIME,
    "nats/token": _PER_TOKEN,
    "bits/byte": _PER_BYTE,
    "tokens": _TOKENS,
    "nats": _fixed({"nats": 1.0, "bits": BITS}),
}
SHARES = ("accuracy", "error", "mixture", "quality", "sparsity", *(f"share_{i}" for i in range(1, 9)))
"""Columns that are shares of one, which people write as percent."""


def _units_of(column: str) -> _Makers:
    if column in ("loss", "teacher_loss"):
        return _LOSS
    if column in SHARES:
        return _SHARE
    return _BY_UNIT.get(COLUMNS[column].unit, _SCALES)
