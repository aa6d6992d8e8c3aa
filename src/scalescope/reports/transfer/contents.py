"""All that the page of a transfer study shows, gathered by the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.fitting.pretraining import Pretraining, TunedForecast
from scalescope.fitting.pretraining.text import answer, law_text, noise_text, told_forecast
from scalescope.points import Finding, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferContents:
    """Everything between a transfer study and its report."""

    schema: ClassVar[str] = "scalescope.transfer-contents/1"

    source: str
    """Name of the corpus of pre-training."""
    target: str
    """Name of the new corpus."""
    found: Pretraining
    forecast: TunedForecast | None = None
    rates: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """Learning rates tried for scratch and fine-tuning, each with the loss it gave."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was computed."""
    command: str = ""
    """That repeats it."""
    findings: tuple[Finding, ...] = ()
    """Beyond those of the estimates."""

    @property
    def title(self) -> str:
        """Words for the page."""
        return f"Pre-training on {self.source} for {self.target}"

    def answer(self, *, bold: str = "") -> str:
        """Return the first sentence."""
        return answer(self.found, self.source, self.target, bold=bold)

    def note(self) -> str:
        """Return what stands below the answer."""
        return " ".join(part for part in (noise_text(self.found), law_text(self.found)) if part)

    def check(self, *, bold: str = "") -> str:
        """Return the hold-out in words; empty where nothing was forecast."""
        return "" if self.forecast is None else told_forecast(self.forecast, bold=bold)

    def summary(self) -> str:
        """A few lines for a terminal."""
        return "\n".join(part for part in (self.answer(), self.note(), self.check()) if part)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TransferContents:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
