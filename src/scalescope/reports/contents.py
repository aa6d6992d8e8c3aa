"""All that a report shows, gathered by the workflow, drawn by the rest of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.fitting.approaches import Approaches
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.isoflop_bias import IsoflopBias
from scalescope.fitting.result import Fit
from scalescope.fitting.scores import Comparison
from scalescope.planning.results import Diagnosis, Forecast, Plan
from scalescope.points import Finding, Runs, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Loss during one training run."""

    name: str
    params: float
    tokens: tuple[float, ...]
    loss: tuple[float, ...]
    """Training loss, nats per token, smoothed over the interval since the last point."""
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything between a study, or a table, and its report."""

    schema: ClassVar[str] = "scalescope.contents/1"

    title: str
    runs: Runs
    """All runs, the held-out ones marked."""
    fits: Mapping[str, Fit]
    """By law: `isoflop` and `chinchilla` at best, `loss-size`, `loss-data`, `loss-compute`, `kaplan`."""
    headline: str
    """The key of `fits` whose plan is headlined."""
    plan: Plan | None
    forecasts: tuple[Forecast, ...] = ()
    """Of the held-out rung, one a law; `measured` is set once it was trained."""
    written_before: bool = False
    """Whether the forecasts were written down before the held-out rung was trained."""
    holdouts: tuple[Holdout, ...] = ()
    comparison: Comparison | None = None
    """Laws ranked by how well they predict the dearer runs."""
    approaches: Approaches | None = None
    """The optimum read in three ways."""
    bias: IsoflopBias | None = None
    """What the parabolas' bias is on this grid."""
    curves: tuple[Curve, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was computed: corpus, tokens, design, recipe, machine, time."""
    exponents_by_count: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Size exponent (value, low, high) of the IsoFLOP method under each way of counting N."""
    command: str = ""
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Contents:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
