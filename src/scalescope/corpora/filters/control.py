"""Documents that are not text: control characters, bytes that are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_shares
from scalescope.corpora.filters.text import Text

_CONTROL = bytes({*range(32), 127} - {*b"\t\n\r\f"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Keeps documents with few control characters and few characters that were lost to a wrong encoding."""

    name: ClassVar[str] = "control"
    source: ClassVar[str] = "own limits"

    most_control: float = 0.001
    """Share of the bytes that are control characters other than tab, line end and form feed."""
    most_invalid: float = 0.001
    """Share of the characters that are U+FFFD, which stands for what is not UTF-8."""

    def __post_init__(self) -> None:
        check_shares(most_control=self.most_control, most_invalid=self.most_invalid)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the two shares."""
        n = max(len(text.data), 1)
        control = n - len(text.data.translate(None, _CONTROL))
        yield Measure("share of control characters", control / n, high=self.most_control)
        invalid = text.string.count("\ufffd") / max(len(text.string), 1)
        yield Measure("share of characters that are not UTF-8", invalid, high=self.most_invalid)
