"""What an audit found, as data and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from scalescope.points import Finding, Provenance, State, from_plain, to_plain
from scalescope.units import format_percent, format_significant

Severity = Literal["impossible", "misleading", "doubtful"]
"""Cannot be; can be, but does not mean what it seems to; may be, but should be looked at."""

SEVERITIES: tuple[Severity, ...] = ("impossible", "misleading", "doubtful")
WIDTH = 110
SHOWN = 3
"""Rows of evidence in the text; the result holds all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One row that a check objects to, worst first."""

    place: int
    """Line of the file, or number of the row."""
    model: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of the table, and what it objects to."""

    code: str
    title: str
    severity: Severity
    affected: int
    """How many it objects to."""
    of: int
    """How many it could look at."""
    unit: str
    """What is counted: rows, cells, models."""
    meaning: str
    advice: str
    note: str = ""
    """A figure that belongs to all of it."""
    evidence: tuple[Evidence, ...] = ()

    @property
    def text(self) -> str:
        """One line."""
        note = f"; {self.note}" if self.note else ""
        return f"{self.title}: {self.affected} of {self.of} {self.unit}{note}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How the failed cells of one series compare with what the configurations say."""

    series: str
    n_cells: int
    """With a figure or a failure."""
    n_failed: int
    causes: Mapping[State, int] = field(default_factory=dict)
    """Failed cells that the configuration explains, by cause."""
    unexplained: tuple[Evidence, ...] = ()
    n_known: int = 0
    """Cells of models whose configuration is known."""
    n_agree: int = 0
    """Of those, cells that ended as the configuration says."""

    @property
    def n_explained(self) -> int:
        """Failed cells that the configuration explains."""
        return sum(self.causes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The plausibility of a table of results.  Made by `audit`."""

    schema: ClassVar[str] = "scalescope.audit/1"

    source: str
    place: str = "line"
    n_rows: int
    n_distinct: int
    n_models: int
    columns: Mapping[str, str] = field(default_factory=dict)
    """Their columns and what they were taken for."""
    checks: tuple[Check, ...] = ()
    """Those that object, worst first."""
    passed: tuple[str, ...] = ()
    """Titles of the checks that looked and found nothing."""
    not_checked: Mapping[str, str] = field(default_factory=dict)
    """Titles of the checks that could not look, and why."""
    failures: tuple[Failures, ...] = ()
    largest_flop_per_s: float | None = None
    """Highest rate that the table implies."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def check(self, code: str) -> Check | None:
        """Return the first check of this code that objects."""
        return next((check for check in self.checks if check.code == code), None)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows: one for every piece of evidence."""
        return [
            {
                "code": check.code,
                "severity": check.severity,
                "title": check.title,
                self.place: one.place,
                "model": one.model,
                "evidence": one.text,
            }
            for check in self.checks
            for one in check.evidence
        ]

    def summary(self) -> str:
        """For a terminal: worst first, each with what it means and what to do."""
        lines = [_head(self), *(_failed(one) for one in self.failures if one.n_failed)]
        for severity in SEVERITIES:
            found = [check for check in self.checks if check.severity == severity]
            lines += ["", severity] if found else []
            for check in found:
                lines += _check(check, self.place)
        lines += ["", *_wrapped("passed", "; ".join(self.passed))]
        for title, why in self.not_checked.items():
            lines += _wrapped("not checked", f"{title}: {why}")
        of_checks = {check.code for check in self.checks}
        for one in self.findings:
            lines += [] if one.code in of_checks else _wrapped(one.code, f"{one.text} {one.hint}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Audit:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)


def flop_rate(value: float) -> str:
    """Write a rate of computing in TFLOP/s."""
    return f"{format_significant(value / 1e12)} TFLOP/s"


def _head(audit: Audit) -> str:
    counts = (
        f"{audit.source}: {audit.n_rows} rows, {audit.n_distinct} of them distinct, {audit.n_models} models"
    )
    objected = len(audit.checks)
    verdict = f"{objected} objection{'s' * (objected != 1)}" if objected else "nothing to object to"
    rate = audit.largest_flop_per_s
    return f"{counts}: {verdict}" + (f"; at most {flop_rate(rate)} implied" if rate else "")


def _failed(one: Failures) -> str:
    series = f" ({one.series})" if one.series else ""
    causes = ", ".join(f"{count} {state}" for state, count in one.causes.items())
    explained = f": {one.n_explained} explained by the configuration ({causes})" if one.n_explained else ""
    agree = (
        f"; the configurations predict {one.n_agree} of {one.n_known} cells "
        f"({format_percent(one.n_agree / one.n_known)})"
        if one.n_known
        else ""
    )
    return f"{one.n_failed} of {one.n_cells} cells failed{series}{explained}{agree}"


def _wrapped(label: str, text: str) -> list[str]:
    """Lay a long text out beside its label."""
    indent = " " * 13
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label:<13}", subsequent_indent=indent) if text else []


def _check(check: Check, place: str) -> list[str]:
    lines = [f"  {check.code}  {check.text}"]
    lines += [f"          {place} {one.place}, {one.model}: {one.text}" for one in check.evidence[:SHOWN]]
    more = len(check.evidence) - SHOWN
    lines += [f"          and {more} more"] if more > 0 else []
    return [*lines, f"          means: {check.meaning}", f"          do:    {check.advice}"]
