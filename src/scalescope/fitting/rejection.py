"""Whether runs reject coefficients that somebody else published: a Wald test against the resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.laws import get_law


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The outcome of a test of all coefficients at once."""

    statistic: float
    """Chi-squared with `freedom` degrees of freedom where the coefficients are true."""
    freedom: int
    p_value: float


def rejects(fit: Fit, coefficients: Mapping[str, float]) -> Rejection:
    """Test whether the runs of a fit are compatible with given coefficients.

    The distance to the optimum is measured in the covariance of the resamples, with scales in logarithms,
    where their distribution is close to normal. Coefficients that the resamples never moved are left out.

    Raises
    ------
    InputError
        If they are not the coefficients of the law, or there are too few resamples for a covariance.
    """
    from scipy.stats import chi2

    form = get_law(fit.law)
    if set(coefficients) != set(form.coefficients):
        raise InputError(
            f"{fit.law} has the coefficients {', '.join(form.coefficients)}, got {', '.join(coefficients)}",
            hint="Give all of them.",
        )
    k = len(form.coefficients)
    if len(fit.resamples) < 10 * k:
        raise InputError(
            f"{len(fit.resamples)} resamples are too few to test {k} coefficients",
            hint=f"Fit again with at least {10 * k}.",
        )
    logged = np.array([one.positive for one in form.coefficients.values()])
    theirs = np.array([coefficients[name] for name in form.coefficients])
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(logged, np.log(fit.resamples), fit.resamples)
        off = np.where(logged, np.log(theirs) - np.log(fit.theta), theirs - fit.theta)
    free = drawn.std(axis=0) > 0
    covariance = np.cov(drawn[:, free], rowvar=False).reshape(free.sum(), free.sum())
    statistic = float(off[free] @ np.linalg.solve(covariance, off[free]))
    return Rejection(
        statistic=statistic, freedom=int(free.sum()), p_value=float(chi2.sf(statistic, free.sum()))
    )
