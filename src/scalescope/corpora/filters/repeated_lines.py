"""Documents that say the same line or the same paragraph again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_shares
from scalescope.corpora.filters.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedLines:
    """Keeps documents few of whose lines and paragraphs were there before."""

    name: ClassVar[str] = "repeated_lines"
    source: ClassVar[str] = "Rae et al. 2021, https://arxiv.org/abs/2112.11446, table A1"

    most_lines: float = 0.30
    """Share of the lines that are not blank."""
    most_line_bytes: float = 0.20
    """Share of the bytes in such lines."""
    most_paragraphs: float = 0.30
    most_paragraph_bytes: float = 0.20

    def __post_init__(self) -> None:
        check_shares(
            most_lines=self.most_lines,
            most_line_bytes=self.most_line_bytes,
            most_paragraphs=self.most_paragraphs,
            most_paragraph_bytes=self.most_paragraph_bytes,
        )

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the shares that repeat, of lines, then of paragraphs."""
        count, size = _repeated(text.lines)
        yield Measure("share of repeated lines", count, high=self.most_lines)
        yield Measure("share of bytes in repeated lines", size, high=self.most_line_bytes)
        count, size = _repeated(text.paragraphs)
        yield Measure("share of repeated paragraphs", count, high=self.most_paragraphs)
        yield Measure("share of bytes in repeated paragraphs", size, high=self.most_paragraph_bytes)


def _repeated(parts: list[bytes]) -> tuple[float, float]:
    """Return the shares, by number and by bytes, of parts that another like them precedes."""
    if not parts:
        return 0.0, 0.0
    distinct = set(parts)
    if len(distinct) == len(parts):
        return 0.0, 0.0
    total = sum(map(len, parts))
    return 1 - len(distinct) / len(parts), 1 - sum(map(len, distinct)) / total
