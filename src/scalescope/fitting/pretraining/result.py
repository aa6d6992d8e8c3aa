"""What a transfer study found, as data: gains in loss, their worth in text, the law, the hold-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from scalescope.fitting.result import Fit
from scalescope.points import Estimate, Finding, Provenance, Runs, from_plain, to_plain

Verdict = Literal["worth", "more", "hurts", "unclear"]
"""Worth so much text; worth more than scratch was trained on; worse than scratch; within the noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Fine-tuned runs beside runs from scratch of the same shape on the same text."""

    size: float
    """N without embeddings."""
    tokens: float
    characters: float
    """D_F: text of the target that both read."""
    n_seeds: int
    difference: Estimate
    """Loss from scratch less that of fine-tuning, nats per token; above zero pre-training helps."""
    worth: Estimate
    """D_T: further text that scratch needs, characters; nan where unknown, an infinite end where scratch
    did not get as far."""
    reached: float
    """Longest text of scratch less D_F: what `worth` is more than, where scratch did not get as far."""

    @property
    def verdict(self) -> Verdict:
        """What these runs say."""
        if self.difference.low > 0:
            return "worth" if self.worth.value < float("inf") else "more"
        return "hurts" if self.difference.high < 0 else "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedForecast:
    """The dearest fine-tuned run as forecast from the others, and as measured once it was trained."""

    schema: ClassVar[str] = "scalescope.tuned-forecast/1"

    size: float
    tokens: float
    characters: float
    worth: Estimate
    """D_T by the law, characters."""
    loss: Estimate
    """Of the runs that are held out, their mean, nats per token."""
    beyond: bool = False
    """Whether scratch was not trained on so much text, so that its curve is extrapolated."""
    measured: float | None = None

    def with_measured(self, loss: float) -> TunedForecast:
        """Return it beside what was measured."""
        return replace(self, measured=loss)

    @property
    def agrees(self) -> bool | None:
        """Whether the measured loss lies in the interval; None before it is measured."""
        return None if self.measured is None else self.loss.low <= self.measured <= self.loss.high

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TunedForecast:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """What pre-training is worth on the target.  Built by `worth_of_pretraining`."""

    schema: ClassVar[str] = "scalescope.pretraining/1"

    runs: Runs
    """All points on the target, from scratch too."""
    worth: Runs
    """Fine-tuned points with `characters_transferred`."""
    gains: tuple[Gain, ...]
    """By size, then text; what was held out is among them once it is measured."""
    fit: Fit | None
    """The law `data-transferred`; None where too few points have a worth."""
    noise: float
    """Standard deviation of the log loss between seeds; nan where it is not known."""
    noise_freedom: int
    level: float
    """Of every interval."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def headline(self) -> Gain:
        """Of the largest shape on the most text."""
        return max(self.gains, key=lambda one: (one.size, one.characters))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Pretraining:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
