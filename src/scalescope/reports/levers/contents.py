"""All that the page of levers shows, gathered by the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.fitting.multipliers import Multipliers
from scalescope.points import Finding, Runs, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverContents:
    """Everything between a study of variants and its report."""

    schema: ClassVar[str] = "scalescope.lever-contents/1"

    title: str
    """Words for what was varied, such as `optimizer: adamw, muon`."""
    runs: Mapping[str, Runs]
    """All runs of every variant, the baseline's among them."""
    multipliers: Multipliers
    rates: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """Learning rates tried for each variant, each with the loss it gave; the lowest was taken."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was computed: corpus, tokens, design, recipe, machine, time."""
    command: str = ""
    """That repeats it."""
    findings: tuple[Finding, ...] = ()
    """Beyond those of the multipliers."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LeverContents:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
