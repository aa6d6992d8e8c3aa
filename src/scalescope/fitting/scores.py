"""What `compare` returns: laws ranked by their hold-outs, and a stack of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.errors import InputError
from scalescope.fitting.holdout import Holdout
from scalescope.points import Finding, Provenance, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one law did."""

    law: str
    rank: int
    """Laws that noise cannot tell apart share one; 0 for a law judged on the lower envelope only."""
    tied: bool
    rms_log_error: float
    """Root mean square of log predicted over measured, in the mean over cuts and steps above them."""
    mean_log_error: float
    """Positive is pessimistic."""
    rms_error: float
    """Root mean square of predicted minus measured, in the unit of the target."""
    typical_log_error: float
    """What ranks: the geometric mean over cuts and steps of the root mean square with the noise added, made
    comparable where the law was judged on fewer of them than others."""
    chance: float
    """Share of other draws of the noise in which it is at least as good as the first."""
    n_predicted: int
    """Predictions judged, over all cuts."""
    envelope_only: bool
    """A law of one factor, judged on the runs of the lower envelope only."""
    weight: float
    """In the stack."""
    coverage: float
    """Share of the last cut's runs inside its interval; nan where it was not judged there."""
    n_covered: int
    """Runs behind `coverage`."""
    widening: float
    """Factor on its half-widths that earlier cuts ask for; 1 for none, nan where there is no earlier cut."""
    coverage_widened: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Several laws averaged, and whether that would have helped."""

    weights: Mapping[str, float]
    """From all cuts; laws without weight are left out."""
    n_predicted: int
    """Runs of the last cut, on which the errors below are measured."""
    rms_log_error: float
    """Of the stack whose weights come from earlier cuts only."""
    picked: str
    """The single law that was best on the earlier cuts."""
    picked_rms_log_error: float
    best: str
    """The single law that proved best: known only afterwards."""
    best_rms_log_error: float
    rolled_rms_log_error: float
    """Of stacks with earlier weights over all cuts that have a past."""
    rolled_picked_rms_log_error: float
    """Of the single laws that were best before, over the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Laws ranked by their hold-outs.  Built by `scalescope.compare`, not by hand."""

    schema: ClassVar[str] = "scalescope.comparison/1"

    target: str
    scores: tuple[Score, ...]
    """Best first."""
    stack: Stack | None
    """None where fewer than two laws, or no cut with a past, would make one."""
    holdouts: tuple[Holdout, ...]
    """One for every law, cut and step above it; `forecast` takes them as `past`."""
    cuts: tuple[float, ...]
    """Highest compute fitted at every cut, FLOP."""
    missed: Mapping[str, str]
    """Law to why it was not compared."""
    noise_sd: float
    """Of the log target of one run, behind the ties."""
    noise_from: str
    """`seeds` or `residuals`."""
    level: float
    count: str
    """What N counts; see `Runs.count`."""
    n_runs: int
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def best(self) -> str:
        """Name of the first law."""
        return self.scores[0].law

    def __getitem__(self, law: str) -> Score:
        for score in self.scores:
            if score.law == law:
                return score
        raise InputError(
            f"{law} was not compared", hint=self.missed.get(law, f"Compared: {', '.join(self.laws)}.")
        )

    @property
    def laws(self) -> tuple[str, ...]:
        """Names of the laws, best first."""
        return tuple(score.law for score in self.scores)

    def summary(self) -> str:
        """A ranked table for one screen of a terminal."""
        from scalescope.fitting.comparison_text import summarise_comparison

        return summarise_comparison(self)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a law, cut and step: what a figure of error against reach needs."""
        ranks = {score.law: score.rank for score in self.scores}
        return [
            {
                "law": one.law,
                "rank": ranks[one.law],
                "n_fitted": one.n_fitted,
                "n_predicted": one.n_predicted,
                "ratio": one.ratio,
                "log_error": one.log_error,
                "rms_error": one.rms_error,
            }
            for one in self.holdouts
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
