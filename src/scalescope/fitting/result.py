"""What a fit returns: a law with coefficients, intervals, the resamples behind them, and its doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.identify import Identification
from scalescope.laws import get_law
from scalescope.laws.base import Scale
from scalescope.points import Array, Estimate, Finding, Provenance, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another optimum, which the runs cannot tell from the best."""

    coefficients: Mapping[str, float]
    """In natural units."""
    objective: float
    excess: float
    """Share by which the objective is above the lowest."""
    decisions: Mapping[str, float] = field(default_factory=dict)
    """What one would do with it; see `Certificate.decisions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Evidence that the optimum is one."""

    n_starts: int
    """Distinct starts that were followed to their end."""
    share_at_optimum: float
    """Share of the starts that ended within 1e-6 (relative) of the best objective."""
    gradient_norm: float
    """Norm of the objective's gradient at the optimum, in the fitted (log) coordinates."""
    at_bound: tuple[str, ...] = ()
    """Coefficients that ended at a limit."""
    n_starts_given: int = 0
    """Starts before those that differ only in coefficients that can be solved for were joined."""
    n_runs_tried: int = 0
    """Runs that the starts were tried on; the best ends went on with all runs."""
    relative_gradient: float = 0.0
    """Share of the pulls of the runs on the coefficients that does not cancel."""
    unmoved: tuple[str, ...] = ()
    """Coefficients that are where the best start had them."""
    near_share: float = 0.01
    """Share by which an objective may be higher and count as near-equal."""
    alternatives: tuple[Alternative, ...] = ()
    """Near-equal optima at other coefficients, the lowest first."""
    decisions: Mapping[str, float] = field(default_factory=dict)
    """What the best optimum says at ten times the largest compute: `exponent`, `size`, `tokens_per_param`; or
    `prediction` at the far corner of the runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parabola:
    """The loss against log N at one compute budget, and its minimum."""

    budget: float
    """FLOP."""
    coefficients: tuple[float, float, float]
    """c0, c1, c2 of L = c0 + c1 u + c2 u^2 with u = ln N."""
    size: Estimate
    """N at the minimum."""
    tokens: Estimate
    """D at the minimum."""
    loss: Estimate
    """L at the minimum, nats per token."""
    n_runs: int
    r_squared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A law fitted to runs.  Built by `scalescope.fit`, not by hand."""

    schema: ClassVar[str] = "scalescope.fit/1"

    law: str
    method: str
    """`parametric` (all runs at once) or `isoflop` (a parabola per budget, then power laws)."""
    criterion: Criterion = HUBER
    """What was minimised."""
    restraints: Restraints = FREE
    """What the coefficients were held to."""
    coefficients: Mapping[str, Estimate]
    """In natural units, ordered as the law's `coefficients`."""
    resamples: Array
    """Coefficients of every bootstrap resample, shape (n_resamples, n_coefficients), natural units."""
    level: float
    """Of every interval, such as 0.9."""
    count: str
    """What N counts; see `Runs.count`."""
    objective: float
    r_squared: float
    """On the scale of the criterion: of the logarithm unless that is raw."""
    residual_sd: float
    """Standard deviation of the residuals, corrected for the number of coefficients fitted."""
    noise_sd: float | None = None
    """Standard deviation of the log loss between seeds of one setting; None where no setting was repeated."""
    n_runs: int
    ranges: Mapping[str, tuple[float, float]]
    """Lowest and highest of every variable, and of N, D and C, over the fitted rows."""
    residuals: Array
    """Target minus prediction of every fitted row, of their logarithms unless the criterion is raw."""
    holdout: Holdout | None = None
    """How far off the law was on the dearest runs when fitted to the others, where that can be told."""
    bootstrap: str = ""
    """What was drawn again behind the intervals; see `resampling`."""
    parabolas: tuple[Parabola, ...] = ()
    certificate: Certificate | None = None
    identification: Identification | None = None
    """What the rows can and cannot tell about the coefficients; None without resamples and for `isoflop`."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        law = get_law(self.law)
        if set(self.coefficients) != set(law.coefficients):
            raise InputError(
                f"{self.law} has the coefficients {', '.join(law.coefficients)}, "
                f"and this fit {', '.join(self.coefficients) or 'none'}",
                hint="The file was changed, or written by another version of scalescope; fit again.",
            )
        if len(self.resamples) and self.resamples.shape[1:] != (len(law.coefficients),):
            raise InputError(
                f"resamples of {self.law} have {len(law.coefficients)} columns, got shape "
                f"{self.resamples.shape}",
                hint="The file was changed; fit again.",
            )
        # A tool that sorts the keys of a file must not permute the coefficients.
        object.__setattr__(self, "coefficients", {name: self.coefficients[name] for name in law.coefficients})

    @property
    def theta(self) -> Array:
        """Coefficients as a vector, shape (n_coefficients,)."""
        return np.array([estimate.value for estimate in self.coefficients.values()])

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the findings."""
        return tuple(finding.code for finding in self.findings)

    @property
    def scale(self) -> Scale:
        """Whether residuals are of logarithms or of the values themselves."""
        return self.criterion.scale or get_law(self.law).scale

    def value(self, **x: Array) -> Array:
        """Predicted target at the optimum for the law's variables, any one shape."""
        return get_law(self.law).value(self.theta, **x)

    def samples(self, **x: Array) -> Array:
        """Predicted target of every resample, shape (n_resamples, n) for variables of shape (n,)."""
        return get_law(self.law).value(self.resamples.T[:, :, None], **x)

    def predict(self, level: float | None = None, **x: float | Array) -> list[Estimate]:
        """Predicted target with the interval of the mean: what the coefficients leave open, without noise.

        Parameters
        ----------
        level
            Share of the resamples inside the interval; that of the fit where not given.
        x
            The law's variables by name (N, D, C), each a number or an array of one length.
        """
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(value, dtype=float)) for value in x.values()))
        point = dict(zip(x, arrays, strict=True))
        values, samples = self.value(**point), self.samples(**point)
        share = self.level if level is None else level
        return [Estimate.from_samples(float(v), samples[:, i], share) for i, v in enumerate(values)]

    def summary(self) -> str:
        """A few lines for a terminal."""
        from scalescope.fitting.text import summarise

        return summarise(self)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a coefficient, ready for any data-frame constructor."""
        return [
            {
                "law": self.law,
                "method": self.method,
                "count": self.count,
                "coefficient": name,
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "level": self.level,
            }
            for name, estimate in self.coefficients.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fit:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
