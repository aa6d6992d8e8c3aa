"""Intervals of a multiplier that do not lean on exponents being equal."""

from __future__ import annotations

import numpy as np

from scalescope.fitting.multipliers.fits import Fits
from scalescope.points import Array, Estimate


def estimate(log_value: float, log_draws: Array, level: float) -> Estimate:
    """A factor and its interval from logarithms."""
    with np.errstate(over="ignore"):
        return Estimate.from_samples(float(np.exp(log_value)), np.exp(log_draws), level)


def multipliers_at(variant: int, fits: Fits, computes: Array, level: float) -> list[Estimate]:
    """Multiplier at each compute.

    That exponents are equal is what the data could not deny, not what they showed. So where they are shared
    the interval spans two: that of the shared fit, and that of its level at one compute with the growth of
    own exponents from there; at the compute where level and growth of the free fit are uncorrelated, which
    is where sharing changes least.
    """
    value = fits.final.value.log_multiplier(variant, computes)[0]
    draws = fits.final.draws.log_multiplier(variant, computes)
    found = [estimate(value[i], draws[:, i], level) for i in range(len(computes))]
    if not fits.tests[variant - 1].shared:
        return found
    growth = fits.free.draws.log_growth(variant)
    first = computes[:1]
    at_first = fits.free.draws.log_multiplier(variant, first)[:, 0]
    good = np.isfinite(at_first) & np.isfinite(growth)
    joint = np.cov(at_first[good], growth[good])
    away = -joint[0, 1] / max(joint[1, 1], 1e-300)
    pivot = first * np.exp(np.clip(away, 0.0, np.log(computes[-1] / first[0])))
    moved = fits.final.draws.log_multiplier(variant, pivot) + growth[:, None] * np.log(computes / pivot)
    return [_spanning(one, estimate(value[i], moved[:, i], level)) for i, one in enumerate(found)]


def _spanning(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(value=one.value, low=min(one.low, other.low), high=max(one.high, other.high))
