"""How far beyond the fitted runs a statement lies, and what to say about it."""

from __future__ import annotations

from collections.abc import Mapping

from scalescope.points import Finding
from scalescope.units import format_factor

Ranges = Mapping[str, tuple[float, float]]

_ROUNDING = 1e-9

_STEPS = (
    (1000.0, "PLN003", "Treat it as an order of magnitude: no published law was right this far out unseen."),
    (100.0, "PLN002", "Train one run in between before spending, and fit again with it."),
    (10.0, "PLN001", "One more rung towards it would narrow the interval."),
)


def beyond(value: float, bounds: tuple[float, float]) -> float:
    """Return how many times `value` lies beyond the nearer bound; 1 inside and on it."""
    low, high = bounds
    reach = max(value / high, low / value)
    # A bound that went through C = 6 N D and back is off by rounding.
    return reach if reach > 1 + _ROUNDING else 1.0


def reach_of(N: float, D: float, C: float, ranges: Ranges) -> dict[str, float]:
    """Return the reach in N, D and C, as far as their fitted ranges are known."""
    values = {"N": N, "D": D, "C": C}
    return {name: beyond(values[name], ranges[name]) for name in values if name in ranges}


def reach_findings(reach: float, what: str) -> tuple[Finding, ...]:
    """Say that `what` reaches more than 10, 100 or 1000 times beyond the runs; nothing below that."""
    for limit, code, hint in _STEPS:
        if reach > limit * (1 + _ROUNDING):
            text = f"{what} lies {format_factor(reach)} beyond the fitted runs, more than {limit:.0f}x."
            return (Finding(code=code, text=text, hint=hint),)
    return ()
