"""What planning hands on: forecasts, plans and diagnoses, every number with an interval and a reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.points import Estimate, Finding, Provenance, from_plain, to_plain

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The loss of one run that was not fitted, with a prediction interval.  Built by `forecast`."""

    schema: ClassVar[str] = "scalescope.forecast/1"

    law: str
    method: str
    params: float
    """N, counted as the fit counts."""
    tokens: float
    compute: float
    loss: Estimate
    """Nats per token; the interval covers coefficients, seed noise and the form's own error."""
    level: float
    reach: Mapping[str, float]
    """For N, D and C: how many times beyond the fitted range this lies; 1 inside it."""
    count: str = "params"
    measured: float | None = None
    """The loss once the run was made."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    def summary(self) -> str:
        """The loss with its interval, how far out it is, and its doubts, for a terminal."""
        from scalescope.planning.summaries import forecast_text

        return forecast_text(self)

    def frame(self) -> list[Row]:
        """One tidy row."""
        from scalescope.planning.frames import forecast_rows

        return forecast_rows(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Forecast:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """What it costs to miss the optimal size by a factor at the same compute."""

    factor: float
    """Chosen size over optimal size: 0.25, 0.5, 2, 4."""
    loss_increase: Estimate
    """Nats per token."""
    compute_waste: Estimate
    """Compute over what the optimum would need for the same loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What another published rule would have chosen for the same compute, judged under the user's law."""

    rule: str
    source: str
    params: float
    tokens: float
    loss_increase: Estimate
    """Over the plan's loss, nats per token."""
    compute_waste: Estimate
    """Compute over what the user's optimum needs for the same loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The best use of one compute budget."""

    compute: float
    params: Estimate
    tokens: Estimate
    tokens_per_param: Estimate
    loss: Estimate
    reach: float
    """Compute over the largest fitted compute; 1 inside the range."""
    penalties: tuple[Penalty, ...]
    advice: tuple[Advice, ...]
    gain_of_tenfold: Estimate
    """Loss saved by ten times this compute, nats per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Size and tokens for each budget asked, with what it would cost to be wrong.  Built by `plan`."""

    schema: ClassVar[str] = "scalescope.plan/1"

    law: str
    method: str
    level: float
    count: str
    size_exponent: Estimate
    """a of N* = G C^a."""
    data_exponent: Estimate
    """b of D* = H C^b."""
    allocations: tuple[Allocation, ...]
    alternative: tuple[Allocation, ...] = ()
    """The same budgets under the method that was not headlined."""
    alternative_law: str = ""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    def summary(self) -> str:
        """The allocations as a table, what being wrong costs, and the doubts, for a terminal."""
        from scalescope.planning.summaries import plan_text

        return plan_text(self)

    def frame(self) -> list[Row]:
        """Tidy rows, one a budget and method, a column each for value, low and high."""
        from scalescope.planning.frames import plan_rows

        return plan_rows(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Whether a model of N parameters and D tokens is under- or over-trained for its compute."""

    schema: ClassVar[str] = "scalescope.diagnosis/1"

    model: str
    law: str
    params: float
    tokens: float
    compute: float
    tokens_per_param: float
    optimal_params: float
    optimal_tokens: float
    verdict: str
    """`under-trained`, `over-trained` or `near the optimum` (size within 1.5x of the optimal)."""
    loss: float
    optimal_loss: float
    compute_waste: float
    """Compute over what the optimum needs for the same loss."""
    source: str = ""
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    def summary(self) -> str:
        """The verdict and the numbers behind it, for a terminal."""
        from scalescope.planning.summaries import diagnosis_text

        return diagnosis_text(self)

    def frame(self) -> list[Row]:
        """One tidy row."""
        from scalescope.planning.frames import diagnosis_rows

        return diagnosis_rows(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Diagnosis:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A cheap run and how much it would narrow the decision.  Built by `next_run`."""

    schema: ClassVar[str] = "scalescope.next-run/1"

    params: float
    tokens: float
    compute: float
    interval_now: float
    """Width of the interval of ln N* at the target budget."""
    interval_after: float
    """The same width expected once this run is added."""
    gain_per_flop: float

    @property
    def narrowing(self) -> float:
        """Share of the interval that this run would take off."""
        return 1 - self.interval_after / self.interval_now if self.interval_now > 0 else 0.0

    def summary(self) -> str:
        """One line for a terminal."""
        from scalescope.planning.summaries import next_run_text

        return next_run_text(self)

    def frame(self) -> list[Row]:
        """One tidy row."""
        from scalescope.planning.frames import next_run_rows

        return next_run_rows(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NextRun:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
