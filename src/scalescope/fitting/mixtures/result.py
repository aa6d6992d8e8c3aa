"""What a study over mixtures found, as data: the laws, the best mixture, and how it stands to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from scalescope.fitting.result import Fit
from scalescope.points import Array, Estimate, Finding, Provenance, from_plain, to_plain

Verdict = Literal["better", "unclear"]
"""Whether the best mixture is told apart from all that it is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLaw:
    """Loss on the held-out text of one source, as a law of the shares of all."""

    name: str
    fit: Fit
    target: float
    """Weight of this loss in what is to be lowest; those of all sources sum to one."""
    least: float
    """Smallest share that was tried; no smaller one is looked for."""
    share: Estimate
    """Of this source in the best mixture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A mixture that the best one is compared with."""

    name: str
    shares: tuple[float, ...]
    """In the order of the sources."""
    loss: Estimate
    """By the laws, weighted, nats per token."""
    gain: Estimate
    """What the best mixture is lower by, nats per token, corrected for having been chosen on these runs."""
    chance: float
    """Share of studies in which all mixtures are equally good that would show such a gain."""
    told_apart: bool
    """Whether the interval of the gain is above zero, and chance alone gives such a gain too seldom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureForecast:
    """Losses of a mixture as forecast, and as measured once it was trained."""

    name: str
    shares: tuple[float, ...]
    losses: tuple[Estimate, ...]
    """Of every source, for one run: the noise of runs is in the intervals."""
    loss: Estimate
    """Weighted."""
    measured: tuple[float, ...] = ()
    """Of every source; empty until it was trained."""
    measured_loss: float | None = None
    n_runs: int = 0
    """Trainings that the measurement is a mean of."""

    @property
    def inside(self) -> bool | None:
        """Whether the weighted loss was measured inside its interval; None until it was measured."""
        if self.measured_loss is None:
            return None
        return self.loss.low <= self.measured_loss <= self.loss.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    """Laws of mixing from own runs and the best mixture.  Built by `best_mixture`, not by hand."""

    schema: ClassVar[str] = "scalescope.mixtures/1"

    laws: tuple[SourceLaw, ...]
    """One a source, in the order of the shares."""
    loss: Estimate
    """Of the best mixture, weighted, nats per token; corrected for having been chosen on these runs."""
    rivals: tuple[Rival, ...]
    """The recipe's mixture and equal shares."""
    tried: tuple[tuple[float, ...], ...]
    """Shares of every run, shape (n_runs, n_sources)."""
    losses: tuple[tuple[float, ...], ...]
    """Held-out loss of every run on every source, nats per token."""
    noise: float
    """Standard deviation of the weighted loss between seeds of one mixture, nats; nan where none was
    repeated."""
    noise_freedom: int
    """Repeats less mixtures behind it."""
    spread: float
    """Standard deviation of the weighted loss around the laws, nats."""
    level: float
    forecasts: tuple[MixtureForecast, ...] = ()
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources."""
        return tuple(law.name for law in self.laws)

    @property
    def target(self) -> Array:
        """Weights of the losses, shape (n_sources,)."""
        return np.array([law.target for law in self.laws])

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the best mixture."""
        return tuple(law.share.value for law in self.laws)

    @property
    def verdict(self) -> Verdict:
        """Whether the best mixture is told apart from all rivals."""
        return "better" if all(rival.told_apart for rival in self.rivals) else "unclear"

    @property
    def n_mixtures(self) -> int:
        """How many different ones were trained."""
        return len({tuple(round(share, 9) for share in one) for one in self.tried})

    def predicted(self, shares: Array) -> Array:
        """Return the loss of every source for mixtures of shape (n, k), shape (n, k)."""
        given = {f"r{index + 1}": column for index, column in enumerate(np.atleast_2d(shares).T)}
        return np.stack([law.fit.value(**given) for law in self.laws], axis=1)

    def with_forecasts(self, forecasts: tuple[MixtureForecast, ...]) -> Mixtures:
        """Return the same with forecasts, measured or not."""
        return replace(self, forecasts=forecasts)

    def sentence(self) -> str:
        """The answer in words."""
        from scalescope.fitting.mixtures.text import answer

        return answer(self)

    def summary(self) -> str:
        """A few lines for a terminal; the first is the answer in words."""
        from scalescope.fitting.mixtures.text import summary

        return summary(self)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a source."""
        return [
            {
                "source": law.name,
                "best_share": law.share.value,
                "low": law.share.low,
                "high": law.share.high,
                "target": law.target,
                "floor": law.fit.coefficients["c"].value,
                **{f"t_{name}": law.fit.coefficients[f"t_{i}"].value for i, name in enumerate(self.names, 1)},
                "r_squared": law.fit.r_squared,
                "level": self.level,
            }
            for law in self.laws
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Mixtures:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
