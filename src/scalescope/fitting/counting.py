r"""How much the way of counting N moves the size exponent, on the same runs.

The optimum itself is a run: a count that is one power of another moves the exponent by that power (Pearce &
Song 2024, https://arxiv.org/abs/2406.12907, trace Kaplan's .73 and Hoffmann's .50 to it). Every interval
below is about noise only, so where the exponents differ by more than their intervals, an exponent without
its count says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.estimation import fit
from scalescope.points import Array, Estimate, Finding, Runs
from scalescope.units import format_significant

COUNTS = ("params", "params_matmul", "params_nonembedding", "params_active")


def exponent_by_count(
    runs: Runs, *, resamples: int = 300, level: float = 0.9, seed: int = 0
) -> dict[str, Estimate]:
    """Return the exponent a of N* = G C^a by the IsoFLOP method under each count that the table has.

    Counts under which fewer than three budgets have a bracketed minimum are left out, so the result can be
    empty.
    """
    exponents = {}
    for count in COUNTS:
        if count not in runs:
            continue
        try:
            found = fit(runs.counted_by(count), "isoflop", resamples=resamples, level=level, seed=seed)
        except InputError:
            continue
        exponents[count] = found.coefficients["a"]
    return exponents


def exponent_of_optima(compute: Array, size: Array, *, level: float = 0.9) -> Estimate:
    """Return the exponent a of N* = G C^a through optima that are known, with Student's interval.

    Parameters
    ----------
    compute
        FLOP of each, shape (n,).
    size
        N of each under one count, shape (n,).
    level
        Of the interval; nan where two optima leave nothing over.

    Raises
    ------
    InputError
        If there are fewer than two computes.
    """
    from scipy.special import stdtrit

    x, y = np.log(compute), np.log(size)
    off = x - x.mean()
    spread = float(off @ off)
    if not spread > 0:
        raise InputError("an exponent needs optima at two computes", hint="Add a budget.")
    slope = float(off @ y / spread)
    freedom = len(x) - 2
    if freedom < 1:
        return Estimate(value=slope, low=float("nan"), high=float("nan"))
    left = y - y.mean() - slope * off
    half = float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(left @ left / freedom / spread))
    return Estimate(value=slope, low=slope - half, high=slope + half)


def doubt_about_count(exponents: Mapping[str, Estimate]) -> tuple[Finding, ...]:
    """Return a finding where the exponents under two counts differ by more than their intervals allow.

    They do where neither lies inside the interval of the other.
    """
    names = sorted(exponents, key=lambda name: exponents[name].value)
    apart = [
        (one, other)
        for index, one in enumerate(names)
        for other in names[index + 1 :]
        if not _inside(exponents[one], exponents[other].value)
        and not _inside(exponents[other], exponents[one].value)
    ]
    if not apart:
        return ()
    shown = ", ".join(f"{format_significant(exponents[name].value, 2)} under {name}" for name in names)
    text = f"The exponent of N* depends on what N counts by more than its interval: {shown}."
    hint = "Give the count with every exponent, and compare only exponents of one count."
    return (Finding(code="FIT053", text=text, hint=hint),)


def _inside(estimate: Estimate, value: float) -> bool:
    """An interval that is nan holds everything: nothing is known against it."""
    return not (value < estimate.low or value > estimate.high)
