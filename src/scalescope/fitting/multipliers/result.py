"""What levers are worth in compute, as data: every multiplier, its verdict, the noise behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from scalescope.fitting.multipliers.rule import RULE, Rule, Verdict
from scalescope.points import Array, Estimate, Finding, Provenance, from_plain, to_plain

Form = Literal["shared", "own"]
Model = Literal["surface", "compute"]

UNKNOWN = Estimate(value=float("nan"), low=float("nan"), high=float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiplierPoint:
    """What a variant is worth at one compute."""

    compute: float
    """FLOP that the variant spends."""
    multiplier: Estimate
    """Compute the baseline needs for the same loss, over `compute`: frontier against frontier."""
    matched: Estimate = UNKNOWN
    """The same from pairs of equal settings; nan where there are no pairs or beyond the data."""
    reach: float = 1.0
    """`compute` over the largest that both were measured at; above one is an extrapolation."""
    floor: float = float("nan")
    """Multiplier below which seeds alone explain one pair of cells; nan where the noise is unknown."""
    loss: float = float("nan")
    """Of the variant there, on its frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedPair:
    """A variant and the baseline at one setting, the mean over the seeds that both have."""

    setting: str
    """Words for it, such as `25.3k on 1.2M tokens`."""
    rung: int
    """Of the ladder, counted from the smallest size, from zero."""
    size: float
    """N of the variant."""
    tokens: float
    compute: float
    """FLOP of the variant."""
    n_seeds: int
    difference: Estimate
    """Loss of the variant less that of the baseline; below zero is better. Interval from the noise."""
    multiplier: float
    """What this difference is worth: the baseline grown along its own best path from this setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingTest:
    """Whether a variant's exponents are those of the rest."""

    p_value: float
    """Share of resamples under shared exponents that look less shared: signs of residuals by training run."""
    p_independent: float
    """Of the F test that takes every point as independent; too small where points share a training run."""
    statistic: float
    """F: rise of the squared residuals by sharing, over what the free fit leaves."""
    freedom: tuple[int, int]
    """Coefficients freed, and points less coefficients of the free fit."""
    shared: bool
    """Whether the exponents are shared in the headline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One variant against the baseline."""

    name: str
    points: tuple[MultiplierPoint, ...]
    """At the budgets, cheapest first, then extrapolated."""
    verdict: Verdict
    growth: Estimate
    """Factor by which the multiplier changes over a decade of compute, own exponents; 1 is no change."""
    form: Form
    """Whether the multiplier at measured scales comes from shared or from own exponents."""
    sharing: SharingTest | None
    """None where the model has no exponents to test."""
    alternatives: Mapping[str, Estimate] = field(default_factory=dict)
    """Multiplier at the headline's compute under every form, by its name, the headline's among them."""
    pairs: tuple[MatchedPair, ...] = ()

    @property
    def headline(self) -> MultiplierPoint:
        """The largest measured budget."""
        return [point for point in self.points if point.reach <= 1][-1]

    @property
    def extrapolated(self) -> tuple[MultiplierPoint, ...]:
        """Points beyond the data."""
        return tuple(point for point in self.points if point.reach > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Best loss of a variant against compute under the headline's fit: L = E + K C^-gamma."""

    name: str
    irreducible: float
    """E."""
    scale: float
    """K, so that K C^-gamma is in units of the loss with C in FLOP."""
    exponent: Estimate
    """gamma."""
    coefficients: Mapping[str, float]
    """Of the surface it follows: E, A, B, alpha, beta; empty where the fit was to compute alone."""
    compute: Array
    """FLOP, cheapest first, to the farthest extrapolation, shape (n,)."""
    loss: Array
    low: Array
    high: Array
    span: tuple[float, float]
    """Compute of the variant's cheapest and dearest run, FLOP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNoise:
    """What equal settings with other seeds differ by."""

    known: bool
    """False where no setting has two seeds: the deviation is then what the fit leaves over."""
    relative: float
    """Standard deviation of one run's loss over its loss, pooled over settings and variants."""
    freedom: int
    """Repeats less settings behind it; 0 where unknown."""
    nats: float
    """The same at the loss of the largest measured budget, in units of the loss."""
    floor: float
    """Multiplier that seeds alone give one pair of cells, at the level and the largest measured budget."""
    n_seeds: int
    """Seeds in most settings, over which such a cell is a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipliers:
    """What every variant is worth in compute.  Built by `compute_multipliers`, not by hand."""

    schema: ClassVar[str] = "scalescope.multipliers/1"

    baseline: str
    levers: tuple[Lever, ...]
    """Largest multiplier at the headline's compute first."""
    noise: SeedNoise
    frontiers: tuple[Frontier, ...]
    """The baseline's first, then in the order of `levers`."""
    model: Model
    """`surface`: E + A N^-alpha + B D^-beta; `compute`: E + K C^-gamma, where sizes and tokens cannot be told
    apart."""
    metric: str
    """Column compared: loss in nats per token, or bits_per_byte."""
    size_column: str
    """Column that is N."""
    compute_column: str
    """Column that is charged, in FLOP."""
    level: float
    n_clusters: int
    """Training runs (size and seed) whose residuals were drawn together."""
    measured: tuple[float, float]
    """Compute that all variants and the baseline reach, FLOP."""
    rule: Rule = RULE
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def lever(self, name: str) -> Lever:
        """Return one variant.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        from scalescope.errors import InputError, nearest

        for one in self.levers:
            if one.name == name:
                return one
        raise InputError(
            f"no variant is called {name!r}", hint=nearest(name, [one.name for one in self.levers])
        )

    def sentence(self) -> str:
        """The answer: the best variant in words."""
        from scalescope.fitting.multipliers.text import answer

        return answer(self)

    def summary(self) -> str:
        """A few lines for a terminal; the first is the answer in words."""
        from scalescope.fitting.multipliers.text import summary

        return summary(self)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a variant and compute."""
        return [
            {
                "variant": lever.name,
                "baseline": self.baseline,
                "compute": point.compute,
                "reach": point.reach,
                "multiplier": point.multiplier.value,
                "low": point.multiplier.low,
                "high": point.multiplier.high,
                "matched": point.matched.value,
                "matched_low": point.matched.low,
                "matched_high": point.matched.high,
                "floor": point.floor,
                "growth_per_decade": lever.growth.value,
                "verdict": lever.verdict,
                "level": self.level,
            }
            for lever in self.levers
            for point in lever.points
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Multipliers:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
