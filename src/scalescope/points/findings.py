"""What a reader should know about a result, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the reader should know about a result; codes are never reused.

    `docs/findings.md` lists every code.
    """

    code: str
    """Three letters for the room (RUN, FIT, PLN, STU) and three digits."""
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" + (f" {self.hint}" if self.hint else "")
