"""Options that several commands share, and how amounts on the command line are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter, Token

from scalescope.errors import InputError
from scalescope.units import parse_count, parse_flop


def _read_count(_type: Any, tokens: Sequence[Token]) -> float:
    return parse_count(tokens[0].value, what="number")


def _read_flop(_type: Any, tokens: Sequence[Token]) -> float:
    return parse_flop(tokens[0].value)


def _read_flops(_type: Any, tokens: Sequence[Token]) -> list[float]:
    return [parse_flop(token.value) for token in tokens]


Amount = Annotated[float, Parameter(converter=_read_count, n_tokens=1)]
"""Parameters or tokens, written `70B` or `1.4T`."""

Flop = Annotated[float, Parameter(converter=_read_flop, n_tokens=1)]
"""Compute, written `3e21`."""

Flops = Annotated[list[float], Parameter(converter=_read_flops, negative="")]
"""Several amounts of compute; the option is repeated."""

AsJson = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
Strict = Annotated[bool, Parameter(name="--strict", negative="", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How a table of runs is read and fitted.

    Parameters
    ----------
    law
        Law to fit, `chinchilla` by default; `scalescope laws` lists them.
    resamples
        Bootstrap resamples behind every interval.
    level
        Share of the distribution inside every interval.
    seed
        Seed of the resamples.
    columns
        The table's names to ours, as `theirs=ours`, separated by commas: `size=params,flops=compute`.
    count
        Column that N counts: params, params_nonembedding, params_matmul or params_active.
    units
        Units of columns that are not in base units, as `loss=bits,compute=PF-days,params=M`. Any column
        takes k, M, B, T or 1e21; compute PF-days, PFLOP and the like; a loss bits, bits/byte, perplexity or
        log; a share %; tokens characters or bytes. What is per byte or character needs bytes_per_token=4.2
        or characters_per_token=4.2 among them.
    """

    law: str | None = None
    resamples: int = 300
    level: float = 0.9
    seed: int = 0
    columns: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = ()
    count: str | None = None
    units: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = ()


def parse_units(pieces: Sequence[str]) -> dict[str, str | float]:
    """Read `column=unit,...` into a mapping.

    Raises
    ------
    InputError
        If a piece is not of that form, or a column comes twice.
    """
    mapping: dict[str, str | float] = {}
    for piece in (part for text in pieces for part in text.split(",") if part.strip()):
        column, equals, unit = (word.strip() for word in piece.partition("="))
        if not (equals and column and unit):
            raise InputError(
                f"{piece!r} does not give the unit of a column",
                hint="Write column=unit, such as loss=bits,compute=PF-days,params=M.",
            )
        if column in mapping:
            raise InputError(f"{column} is given two units", hint="Give it one.")
        mapping[column] = unit
    return mapping


def parse_columns(pieces: Sequence[str]) -> dict[str, str]:
    """Read `theirs=ours,...` into a mapping.

    Raises
    ------
    InputError
        If a piece is not of that form.
    """
    mapping: dict[str, str] = {}
    for piece in (part for text in pieces for part in text.split(",") if part.strip()):
        theirs, equals, ours = piece.rpartition("=")
        if not (equals and theirs.strip() and ours.strip()):
            raise InputError(
                f"{piece!r} does not map a column",
                hint="Write theirs=ours, such as size=params,flops=compute.",
            )
        mapping[theirs.strip()] = ours.strip()
    return mapping
