"""What a study over repetition found, as data: the law, what a token read again is worth, the hold-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from scalescope.fitting.result import Fit
from scalescope.points import Estimate, Finding, Provenance, Runs, from_plain, to_plain

Verdict = Literal["told", "not reached", "open"]
"""Whether the epochs after which a token is worth half are known, lie beyond the runs, or cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The same question answered under other assumptions."""

    name: str
    constant: Estimate
    """R_D: epochs over which repeated tokens lose their worth."""
    half: Estimate
    """Epochs after which a token read again is worth half of a fresh one."""
    objective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitted:
    """A training run whose held-out loss rose again as it read its text over."""

    size: float
    """N."""
    unique: float
    """Different tokens."""
    best_epochs: float
    """Epochs at its lowest loss."""
    last_epochs: float
    rise: float
    """Loss at the end less the lowest, nats per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A run that read text again beside one of equal size and tokens that read fresh text."""

    size: float
    tokens: float
    epochs: float
    difference: float
    """Loss of the repeated run less that of the fresh one, nats per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepetitionForecast:
    """The most repeated run as forecast, and as measured once it was trained."""

    size: float
    tokens: float
    unique: float
    loss: Estimate
    """For one run: the noise of runs is in the interval."""
    as_fresh: Estimate
    """By the law that counts every token as fresh."""
    as_unread: float
    """By the same law, if what is read again were worth nothing."""
    measured: float | None = None
    n_runs: int = 0

    @property
    def epochs(self) -> float:
        """How often the text is read."""
        return self.tokens / self.unique

    @property
    def inside(self) -> bool | None:
        """Whether the measured loss lies in the interval; None until it was measured."""
        if self.measured is None:
            return None
        return self.loss.low <= self.measured <= self.loss.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """What reading again is worth, from own runs.  Built by `worth_of_epochs`, not by hand."""

    schema: ClassVar[str] = "scalescope.repetition/1"

    fit: Fit
    """The data-constrained law on all runs that do not overfit."""
    naive: Fit
    """The law of size and tokens alone on the same runs, which takes every token for fresh."""
    nearly: Estimate
    """Epochs up to which a token read again is worth at least nine tenths of a fresh one."""
    half: Estimate
    """Epochs after which it is worth half."""
    forms: tuple[Form, ...]
    """The first is the one of `fit`."""
    verdict: Verdict
    most_epochs: float
    """That a run of the fit read."""
    runs: Runs
    """All rows that were given, those held out and those that overfit too."""
    fitted: tuple[bool, ...]
    """Which rows the fit used."""
    twins: tuple[Twin, ...]
    overfitted: tuple[Overfitted, ...]
    noise: float
    """Standard deviation of the log loss between seeds; nan where no setting was repeated."""
    noise_freedom: int
    level: float
    forecast: RepetitionForecast | None = None
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def with_forecast(self, forecast: RepetitionForecast) -> Repetition:
        """Return the same with a forecast, measured or not."""
        return replace(self, forecast=forecast)

    def sentence(self) -> str:
        """The answer in words."""
        from scalescope.fitting.repetition.text import answer

        return answer(self)

    def summary(self) -> str:
        """A few lines for a terminal; the first is the answer in words."""
        from scalescope.fitting.repetition.text import summary

        return summary(self)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a form of the law."""
        return [
            {
                "form": form.name,
                "R_D": form.constant.value,
                "R_D_low": form.constant.low,
                "R_D_high": form.constant.high,
                "half_epochs": form.half.value,
                "half_low": form.half.low,
                "half_high": form.half.high,
                "objective": form.objective,
                "level": self.level,
            }
            for form in self.forms
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Repetition:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
