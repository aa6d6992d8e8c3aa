"""What a filter is: a few measures of a document, each with the range in which it is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

from scalescope.corpora.filters.text import Text
from scalescope.errors import InputError
from scalescope.units import format_significant


class Measure(NamedTuple):
    """A number that tells something of a document, and the range in which the document is kept."""

    what: str
    value: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def inside(self) -> bool:
        """Whether the document is kept."""
        return self.low <= self.value <= self.high

    @property
    def reason(self) -> str:
        """Why the document is removed; the same text for all that this limit removes."""
        if self.value < self.low:
            return f"{self.what} below {format_significant(self.low)}"
        return f"{self.what} above {format_significant(self.high)}"


class Filter(Protocol):
    """One idea of what makes a document unfit, with its limits as fields."""

    name: ClassVar[str]
    """What recipes call it."""
    source: ClassVar[str]
    """Where the idea and the limits come from."""

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield what is measured, the cheapest first; nobody asks further after one that is outside."""
        ...


def first_outside(wanted: Filter, text: Text) -> Measure | None:
    """Return the first measure that removes a document, or None if it is kept."""
    return next((measure for measure in wanted.measures(text) if not measure.inside), None)


def check_shares(**shares: float) -> None:
    """Refuse a share that is not between 0 and 1."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"{name} is a share and must be from 0 to 1, got {share}")


def check_range(low_name: str, low: float, high_name: str, high: float) -> None:
    """Refuse a range in which nothing lies."""
    if not 0 <= low <= high:
        raise InputError(f"{low_name} = {low} must be at least 0 and at most {high_name} = {high}")
