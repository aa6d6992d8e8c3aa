"""Documents that are mostly punctuation, symbols or digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_shares
from scalescope.corpora.filters.text import Text

_ASCII = bytes(range(128))
_ASCII_SYMBOLS = bytes(code for code in range(33, 127) if not chr(code).isalnum() and code != ord("_"))
_SYMBOLS = re.compile(r"[^\w\s]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """Keeps documents in which neither symbols nor digits prevail; shares are of all characters."""

    name: ClassVar[str] = "symbols"
    source: ClassVar[str] = (
        "own limits, after Chen et al. 2021, https://arxiv.org/abs/2107.03374, section 3.1"
    )

    most_symbols: float = 0.3
    """Share of characters that are neither letter, digit, underscore nor white space."""
    most_digits: float = 0.2

    def __post_init__(self) -> None:
        check_shares(most_symbols=self.most_symbols, most_digits=self.most_digits)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the shares of symbols and of digits."""
        n = max(len(text.string), 1)
        symbols = _count(text.data, _ASCII_SYMBOLS, _SYMBOLS)
        yield Measure("share of symbols", symbols / n, high=self.most_symbols)
        digits = _count(text.data, b"0123456789", _DIGITS)
        yield Measure("share of digits", digits / n, high=self.most_digits)


def _count(data: bytes, ascii_: bytes, pattern: re.Pattern[str]) -> int:
    """Count characters of a class: those of ASCII as bytes, at once, the others by the pattern."""
    found = len(data) - len(data.translate(None, ascii_))
    if data.isascii():
        return found
    rest = data.translate(None, _ASCII).decode(errors="replace")
    return found + sum(map(len, pattern.findall(rest)))
