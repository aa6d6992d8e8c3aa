"""Documents that are too short or too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_range
from scalescope.corpora.filters.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Keeps documents of a usual size; the limits in words are Gopher's."""

    name: ClassVar[str] = "length"
    source: ClassVar[str] = "Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A.1.1"

    least_bytes: int = 0
    most_bytes: int = 64 * 2**20
    least_words: int = 50
    most_words: int = 100_000

    def __post_init__(self) -> None:
        check_range("least_bytes", self.least_bytes, "most_bytes", self.most_bytes)
        check_range("least_words", self.least_words, "most_words", self.most_words)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield bytes, then words."""
        yield Measure("bytes", len(text.data), self.least_bytes, self.most_bytes)
        yield Measure("words", len(text.words), self.least_words, self.most_words)
