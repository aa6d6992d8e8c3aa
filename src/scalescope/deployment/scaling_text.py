"""Scaling fits as tidy rows and as text for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scalescope.deployment.columns import format_duration
from scalescope.points import Estimate
from scalescope.units import format_bytes, format_percent

if TYPE_CHECKING:
    from scalescope.deployment.scaling_results import Scaling, ScalingFit


def scaling_rows(scaling: Scaling) -> list[dict[str, Any]]:
    """One row a fit: coefficients and the crossing with their intervals, and how far it can be trusted."""
    names = "model category setting quantity form error criterion_gain roughness level longest"
    return [
        {name: getattr(one, name) for name in names.split()}
        | {
            f"{name}{end}": getattr(getattr(one, name), end[1:] or "value")
            for name in ("a", "b", "c", "dominates")
            for end in ("", "_low", "_high")
        }
        for one in scaling.fits
    ]


def scaling_text(scaling: Scaling) -> str:
    """Time of all models, then memory, then findings."""
    lines = []
    for quantity in ("time", "memory"):
        fits = [one for one in scaling.fits if one.quantity == quantity]
        if fits:
            lines += [f"{quantity.capitalize()} against length L", *(f"  {_fit_line(one)}" for one in fits)]
    return "\n".join([*lines, *(f"  {finding}" for finding in scaling.findings)])


def _fit_line(one: ScalingFit) -> str:
    show = format_duration if one.quantity == "time" else format_bytes
    terms = [show(one.a.value), f"{show(one.b.value * 1000)} (L/1000)"]
    terms += [f"{show(one.c.value * 1e6)} (L/1000)²"] * (one.form == "quadratic")
    error = f", misses left-out lengths by {format_percent(one.error)}" if one.error is not None else ""
    name = one.model.rpartition("/")[2]
    return f"{name} ({one.setting}): {' + '.join(terms)}; {_crossing(one.dominates)}{error}"


def _crossing(one: Estimate) -> str:
    if math.isfinite(one.value):
        high = f"{one.high:,.0f}" if math.isfinite(one.high) else "no limit"
        return f"quadratic term leads from {one.value:,.0f} [{one.low:,.0f}, {high}] tokens"
    if math.isfinite(one.low):
        return f"no quadratic term seen; it leads from {one.low:,.0f} tokens at the earliest"
    return "no quadratic term seen"
