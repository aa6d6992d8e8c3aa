"""Documents that compress far too well or hardly at all: boilerplate and noise."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_range
from scalescope.corpora.filters.text import Text

LEVEL = 1
"""Of zlib: the fastest; ratios are a little higher than at level 6 and rank documents alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressibility:
    """Keeps documents whose compressed size is a usual share of their size."""

    name: ClassVar[str] = "compressibility"
    source: ClassVar[str] = "own limits; the measure after Pandey 2024, https://arxiv.org/abs/2405.16684"

    least: float = 0.1
    most: float = 0.9

    def __post_init__(self) -> None:
        check_range("least", self.least, "most", self.most)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the compressed size over the size."""
        yield Measure("compressed size over size", compressed_share(text.data), self.least, self.most)


def compressed_share(data: bytes) -> float:
    """Return the size that zlib leaves over the size; little above 1 at most."""
    return len(zlib.compress(data, LEVEL)) / max(len(data), 1)
