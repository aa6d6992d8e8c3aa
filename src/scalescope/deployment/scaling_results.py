"""What fits of growth hand on: one fit, all of a bench, and the length at which memory runs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from scalescope.cost import Positions
from scalescope.deployment.growth import length_at, value_at
from scalescope.errors import InputError
from scalescope.points import Array, Estimate, Finding, Provenance, from_plain, to_plain
from scalescope.units import format_factor

Row = dict[str, Any]
Quantity = Literal["time", "memory"]
Form = Literal["linear", "quadratic"]

LEVEL = 0.9
FAR = 4.0
"""Times beyond the longest measured length from which on an extrapolation is a finding."""


def tails(level: float) -> tuple[float, float]:
    """Return the two quantiles of a central interval."""
    return (1 - level) / 2, (1 + level) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFit:
    """Time or memory of one model under one setting against length.  Built by `fit_scaling`."""

    model: str
    category: str
    setting: str
    quantity: Quantity
    """Seconds of a call (of an output token for decode), or bytes of its peak above the baseline."""
    form: Form
    a: Estimate
    """At length 0, s or bytes."""
    b: Estimate
    """Per token."""
    c: Estimate
    """Per token squared; 0 where the form is linear."""
    dominates: Estimate
    """Length at which c L² exceeds b L, from the fit with both; infinite where no such length is seen."""
    lengths: tuple[int, ...]
    values: tuple[float, ...]
    """Medians, or peaks, that were fitted."""
    error: float | None
    """Median share by which a length is missed when it is left out; None below four lengths."""
    criterion_gain: float
    """By how much the quadratic term lowers Akaike's criterion; above 0 it was kept."""
    roughness: float
    level: float = LEVEL
    draws: Array
    """Resampled a, b, c, one row each."""

    @property
    def longest(self) -> int:
        """Longest length that was fitted."""
        return self.lengths[-1]

    def reach(self, length: float) -> float:
        """Times beyond the longest (or below the shortest) fitted length; 1 inside."""
        return max(length / self.longest, self.lengths[0] / length, 1.0)

    def at(self, length: float) -> Estimate:
        """Predict at a length, with the interval of the curve."""
        point = np.array([[self.a.value, self.b.value, self.c.value]])
        return Estimate.from_samples(
            float(value_at(point, length)[0]), value_at(self.draws, length), self.level
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryWall:
    """The length at which one device has no more memory.  Built by `memory_wall`."""

    model: str
    setting: str
    device: str
    bytes: float
    """Memory for the model: of the device, less what the libraries take."""
    length: Estimate
    """0 where not even the weights fit, infinite where memory does not grow."""
    reach: float
    """Times beyond the longest measured length."""
    limit: int | None = None
    """Longest length that the configuration allows, if that is given and comes first."""
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """One line for a terminal."""
        name = self.model.rpartition("/")[2]
        if self.length.value == 0:
            return f"{name} does not fit {self.device} at any length"
        if not np.isfinite(self.length.value):
            return f"{name}: memory does not grow with length on {self.device}"
        if self.limit is not None:
            return (
                f"{name}: its configuration ends at {self.limit} tokens, before memory of {self.device} does"
            )
        far = f", {format_factor(self.reach)} the longest measured" if self.reach > 1 else ""
        return f"{name} fits {self.device} up to {self.length.text(_tokens)} tokens{far}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """All fits of a bench.  Built by `fit_scaling`."""

    schema: ClassVar[str] = "scalescope.bench-scaling/1"

    fits: tuple[ScalingFit, ...]
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def of(self, model: str, quantity: Quantity) -> tuple[ScalingFit, ...]:
        """Fits of one model, one a setting."""
        return tuple(one for one in self.fits if (one.model, one.quantity) == (model, quantity))

    def walls(
        self, capacity: float, device: str = "this machine", *, limits: Mapping[str, Positions] | None = None
    ) -> tuple[MemoryWall, ...]:
        """Length at which each model has no more memory on a device, or its configuration ends before."""
        ends = {name: one.limit for name, one in (limits or {}).items()}
        return tuple(
            memory_wall(one, capacity, device, limit=ends.get(one.model))
            for one in self.fits
            if one.quantity == "memory"
        )

    def frame(self) -> list[Row]:
        """Tidy rows, one a fit."""
        from scalescope.deployment.scaling_text import scaling_rows

        return scaling_rows(self)

    def summary(self) -> str:
        """One line a fit and the findings, for a terminal."""
        from scalescope.deployment.scaling_text import scaling_text

        return scaling_text(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaling:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def memory_wall(
    fit: ScalingFit, capacity: float, device: str = "this machine", *, limit: int | None = None
) -> MemoryWall:
    """Find the length at which memory runs out.

    Parameters
    ----------
    fit
        Of memory.
    capacity
        Bytes that the model may use: of the device, less what the libraries take.
    device
        Name for the text.
    limit
        Longest length that the configuration allows; None for no limit.

    Raises
    ------
    InputError
        If the fit is not of memory, or there are no bytes.
    """
    if fit.quantity != "memory":
        raise InputError("a memory wall needs a fit of memory, not of time", hint="Take the other one.")
    if not capacity > 0:
        raise InputError(f"memory must be above zero, got {capacity:g} bytes", hint="Give bytes.")
    point = np.array([[fit.a.value, fit.b.value, fit.c.value]])
    value = float(length_at(point, capacity)[0])
    ends = np.quantile(length_at(fit.draws, capacity), tails(fit.level), method="nearest")
    length = Estimate(value=value, low=float(min(ends[0], value)), high=float(max(ends[1], value)))
    reach = value / fit.longest if value > fit.longest else 1.0
    return MemoryWall(
        model=fit.model,
        setting=fit.setting,
        device=device,
        bytes=float(capacity),
        length=length,
        reach=reach,
        limit=limit if limit is not None and limit < value else None,
        findings=_far(fit, reach) if np.isfinite(value) and value <= (limit or np.inf) else (),
    )


def _far(fit: ScalingFit, reach: float) -> tuple[Finding, ...]:
    if reach <= FAR:
        return ()
    return (
        Finding(
            code="BEN055",
            text=f"The wall of {fit.model} lies at {format_factor(reach)} the longest measured length.",
            hint=f"Measure it longer than {fit.longest} tokens; other limits may come first.",
        ),
    )


def _tokens(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "no limit"
