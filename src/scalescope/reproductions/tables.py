"""Numbers that papers print beside the coefficients they follow from; needs no table of runs.

A printed coefficient stands for every number that rounds to it, so what follows from it is a range; a printed
result holds when it lies there.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from scalescope.planning.rules import (
    HOFFMANN_TABLE_3,
    hoffmann_power_law,
    kaplan_size,
)
from scalescope.points import Finding
from scalescope.points.conversions import PF_DAY
from scalescope.reproductions.result import Reproduction, Row, between, to_digits
from scalescope.units import format_count, format_flop

LLAMA_COMPUTE = 3.8e25
LLAMA_TOKENS = (0.299, 0.537)
"""Prefactor and exponent of the tokens, https://arxiv.org/abs/2407.21783, section 3.2.1."""
KAPLAN_PREFACTORS = ((1.3, 1), (2.0, 1), (5.4, 1))
"""N in billions, B in millions of tokens, S in thousands, with their decimals; table 6."""
KAPLAN_EXPONENTS = (0.73, 0.24, 0.03)
DEEPSEEK_SCALE = (0.1715, 0.5243)
"""Prefactor and exponent of M, non-embedding FLOP a token, https://arxiv.org/abs/2401.02954, section 3.2."""
DEEPSEEK_TOKENS = (5.8316, 0.4757)


def reproduce(data: str | Path | None) -> Reproduction:  # noqa: ARG001  (every reproduction takes the folder)
    """Derive each printed number from the coefficients printed with it."""
    return Reproduction(
        name="tables",
        title="printed tables and optima from the coefficients printed with them",
        source="https://arxiv.org/abs/2203.15556, /2001.08361, /2407.21783, /2401.02954",
        rows=(*_hoffmann(), *_kaplan(), *_llama(), *_deepseek()),
        findings=(
            Finding(
                code="REP004",
                text="Llama 3 prints 402B parameters and 16.55T tokens for 3.8e25 FLOP; 6 N D of these is "
                f"{format_flop(6 * 402e9 * 16.55e12)}.",
                hint="Their FLOP are not 6 N D; at 6 N D the same tokens leave 383B parameters.",
            ),
            Finding(
                code="REP005",
                text="Hoffmann's table 3 gives Gopher's compute to a rounded size of 67B, 1.3% off the line "
                "of its other rows.",
                hint="It is the unit of the column, so it is left out of the line.",
            ),
        ),
    )


def rounding(value: float, digits: int) -> tuple[float, float]:
    """Lowest and highest number that rounds to `value` at so many decimals."""
    half = 0.5 * 10.0**-digits
    return value - half, value + half


def _power_range(pair: tuple[float, float], digits: tuple[int, int], compute: float) -> tuple[float, float]:
    corners = product(rounding(pair[0], digits[0]), rounding(pair[1], digits[1]))
    values = [prefactor * compute**exponent for prefactor, exponent in corners]
    return min(values), max(values)


def _hoffmann() -> list[Row]:
    exponent, prefactor = hoffmann_power_law()
    rows = []
    for size, printed, units, tokens in HOFFMANN_TABLE_3:
        if units == 1:
            continue
        compute = float(np.exp((np.log(size) - prefactor) / exponent))
        name = f"Hoffmann table 3, {format_count(size)}"
        power = int(np.floor(np.log10(printed)))
        text = f"{printed / 10**power:.2f}"
        rows.append(to_digits(f"{name}: compute", text, compute, f"e{power} FLOP", 10.0**power))
        unit, word = (1e12, "T") if tokens >= 1e12 else (1e9, "B")
        rows.append(to_digits(f"{name}: tokens", f"{tokens / unit:.1f}", compute / (6 * size), word, unit))
    return rows


def _kaplan() -> list[Row]:
    low, high = np.prod([rounding(value, digits) for value, digits in KAPLAN_PREFACTORS], axis=0)
    return [
        to_digits("Kaplan: size at one PF-day", "1.3", kaplan_size(PF_DAY), "e9", 1e9),
        to_digits("Kaplan: exponents of N, B and S add to", "1.00", sum(KAPLAN_EXPONENTS)),
        to_digits("Kaplan: exponent of B, alphaC / alphaB", "0.24", 0.050 / 0.21),
        between("Kaplan: 6 N B S at one PF-day is 8.64e19 FLOP", 6e18 * low, 6e18 * high, PF_DAY),
    ]


def _llama() -> list[Row]:
    low, high = _power_range(LLAMA_TOKENS, (3, 3), LLAMA_COMPUTE)
    return [between("Llama 3: 16.55T tokens at 3.8e25 FLOP", low / 1e12, high / 1e12, 16.55)]


def _deepseek() -> list[Row]:
    product_of = DEEPSEEK_SCALE[0] * DEEPSEEK_TOKENS[0]
    return [
        to_digits("DeepSeek: exponents of M and D add to", "1.0000", DEEPSEEK_SCALE[1] + DEEPSEEK_TOKENS[1]),
        to_digits("DeepSeek: prefactors of M and D multiply to", "1.000", product_of),
    ]
