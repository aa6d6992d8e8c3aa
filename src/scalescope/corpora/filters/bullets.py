"""Documents that are lists or cut-off teasers: lines with a bullet, lines that end in an ellipsis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_shares
from scalescope.corpora.filters.text import Text

_BULLETS = tuple(mark.encode() for mark in ("•", "‣", "◦", "●", "-", "*"))
_ELLIPSES = tuple(mark.encode() for mark in ("...", "…"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """Keeps documents of which few lines begin with a bullet or end with an ellipsis."""

    name: ClassVar[str] = "bullets"
    source: ClassVar[str] = "Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A.1.1"

    most_bullets: float = 0.9
    most_ellipses: float = 0.3

    def __post_init__(self) -> None:
        check_shares(most_bullets=self.most_bullets, most_ellipses=self.most_ellipses)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the shares of the lines."""
        n = max(len(text.lines), 1)
        bullets = sum(line.startswith(_BULLETS) for line in text.lines)
        yield Measure("share of lines with a bullet", bullets / n, high=self.most_bullets)
        ellipses = sum(line.endswith(_ELLIPSES) for line in text.lines)
        yield Measure("share of lines that end in an ellipsis", ellipses / n, high=self.most_ellipses)
