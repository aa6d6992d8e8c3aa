"""All that the pages of studies over data show, gathered by the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.fitting.mixtures import Mixtures
from scalescope.fitting.repetition import Repetition
from scalescope.points import Finding, Runs, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureContents:
    """Everything between a study over mixtures and its report."""

    schema: ClassVar[str] = "scalescope.mixture-contents/1"

    title: str
    mixtures: Mixtures
    runs: Mapping[str, Runs] = field(default_factory=dict)
    """A table for each source, with its loss; the held-out runs are marked."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was computed: corpus, tokens, design, recipe, machine, time."""
    command: str = ""
    """That repeats it."""
    findings: tuple[Finding, ...] = ()
    """Beyond those of the mixtures."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MixtureContents:
        """Read what `to_dict` wrote; an `InputError` where it is something else."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepetitionContents:
    """Everything between a study over repetition and its report."""

    schema: ClassVar[str] = "scalescope.repetition-contents/1"

    title: str
    repetition: Repetition
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was computed: corpus, tokens, design, recipe, machine, time."""
    command: str = ""
    """That repeats it."""
    findings: tuple[Finding, ...] = ()
    """Beyond those of the repetition."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RepetitionContents:
        """Read what `to_dict` wrote; an `InputError` where it is something else."""
        return from_plain(cls, data, cls.schema)
