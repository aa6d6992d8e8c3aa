"""What a reproduction returns: every number of the source beside ours, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scalescope.points import Finding, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number."""

    what: str
    published: str
    """As the source prints it, or the limit that ours must keep."""
    ours: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published result made again.  Built by `scalescope.reproduce`, not by hand."""

    schema: ClassVar[str] = "scalescope.reproduction/1"

    name: str
    title: str
    source: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    """What the source does not say about its own numbers."""

    @property
    def holds(self) -> bool:
        """Whether every row does."""
        return all(row.holds for row in self.rows)

    def summary(self) -> str:
        """One screen for a terminal: every row, a mark where ours misses, what was found on the way."""
        widths = [
            max(len(text) for text in column)
            for column in (
                ["what", *(row.what for row in self.rows)],
                ["published", *(row.published for row in self.rows)],
                ["ours", *(row.ours for row in self.rows)],
            )
        ]

        def line(*cells: str) -> str:
            pairs = zip(cells, [*widths, 0], strict=True)
            return "  ".join(cell.ljust(width) for cell, width in pairs).rstrip()

        held = sum(row.holds for row in self.rows)
        lines = [f"{self.name}: {self.title}", self.source, "", line("what", "published", "ours", "")]
        lines += [
            line(row.what, row.published, row.ours, "holds" if row.holds else "MISSES") for row in self.rows
        ]
        return "\n".join([*lines, "", f"{held} of {len(self.rows)} rows hold"])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, ready for any data-frame constructor."""
        return [
            {
                "name": self.name,
                "what": row.what,
                "published": row.published,
                "ours": row.ours,
                "holds": row.holds,
            }
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reproduction:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def within(what: str, published: float, ours: float, tolerance: float, digits: int = 6) -> Row:
    """Compare with an absolute tolerance."""
    return Row(
        what=what,
        published=f"{published:.{digits}g} ± {tolerance:g}",
        ours=f"{ours:.{digits}g}",
        holds=abs(ours - published) <= tolerance,
    )


def within_share(what: str, published: float, ours: float, share: float, digits: int = 4) -> Row:
    """Compare with a relative tolerance."""
    return Row(
        what=what,
        published=f"{published:.{digits}g} ± {100 * share:g}%",
        ours=f"{ours:.{digits}g}",
        holds=abs(ours - published) <= share * abs(published),
    )


def to_digits(what: str, published: str, ours: float, unit: str = "", scale: float = 1.0) -> Row:
    """Compare with the printed decimals: ours, rounded alike, must be the same text."""
    decimals = len(published.partition(".")[2])
    shown = f"{ours / scale:.{decimals}f}"
    return Row(what=what, published=published + unit, ours=shown + unit, holds=shown == published)


def at_most(what: str, limit: float, ours: float, digits: int = 6) -> Row:
    """Keep an upper limit."""
    return Row(what=what, published=f"at most {limit:.10g}", ours=f"{ours:.{digits}g}", holds=ours <= limit)


def at_least(what: str, limit: float, ours: float, digits: int = 6) -> Row:
    """Keep a lower limit."""
    return Row(what=what, published=f"at least {limit:.10g}", ours=f"{ours:.{digits}g}", holds=ours >= limit)


def between(what: str, low: float, high: float, ours: float, digits: int = 4) -> Row:
    """Lie in a range."""
    return Row(
        what=what, published=f"{low:g} to {high:g}", ours=f"{ours:.{digits}g}", holds=low <= ours <= high
    )
