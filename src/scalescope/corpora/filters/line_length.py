"""Documents made of very short or very long lines: lists, tables, packed data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_range
from scalescope.corpora.filters.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLength:
    """Keeps documents whose lines have a usual length in bytes."""

    name: ClassVar[str] = "line_length"
    source: ClassVar[str] = "Chen et al. 2021, https://arxiv.org/abs/2107.03374, section 3.1 (means, longest)"

    least_mean: float = 0.0
    most_mean: float = 100.0
    most_longest: int = 1000

    def __post_init__(self) -> None:
        check_range("least_mean", self.least_mean, "most_mean", self.most_mean)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the mean and the greatest length of the lines that are not blank."""
        sizes = [len(line) for line in text.lines] or [0]
        yield Measure("mean line length", sum(sizes) / len(sizes), self.least_mean, self.most_mean)
        yield Measure("longest line", max(sizes), high=self.most_longest)
