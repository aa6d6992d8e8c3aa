r"""From resamples to intervals: percentile, basic, BCa and studentised, and how sure their ends are.

With :math:`\hat q` the estimate and :math:`q^*` its resamples:

- percentile: quantiles of :math:`q^*`. Keeps to any increasing transformation; the default, since the
  resamples of `noise` already carry what few runs need (`benchmarks/coverage.py`);
- basic: :math:`2 \hat q - q^*`, which turns the skew around;
- BCa: quantiles of :math:`q^*` moved for bias and skew, from the share of resamples below the estimate and
  the jackknife (Efron 1987, https://doi.org/10.1080/01621459.1987.10478410);
- studentised: :math:`\hat q - s\,t^*` with :math:`t^* = (q^* - \hat q)/s^*`, where every resample has its own
  standard error.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points import Array, Estimate

Method = Literal["percentile", "basic", "bca", "studentised"]


def interval(
    value: float,
    draws: Array,
    level: float,
    *,
    method: Method = "percentile",
    jackknife: Array | None = None,
    error: float | None = None,
    errors: Array | None = None,
) -> Estimate:
    """Interval of one quantity.

    Parameters
    ----------
    value
        The estimate.
    draws
        The same quantity in every resample, shape (n_resamples,); those that are not finite are left out.
    level
        Share of the intervals that should hold the truth.
    method
        See the module.
    jackknife
        For `bca`: the quantity without each cluster (`resampling.leave_out`), shape (n_clusters,).
    error, errors
        For `studentised`: standard error of the estimate, and of every resample, shape (n_resamples,).

    Raises
    ------
    InputError
        If the method is unknown or lacks what it needs.
    """
    if method not in get_args(Method):
        raise InputError(f"no interval is called {method!r}", hint=nearest(method, get_args(Method)))
    finite = np.isfinite(draws)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    kept = draws[finite]
    if method == "percentile" or not kept.size:
        return Estimate.from_samples(value, draws, level)
    if method == "basic":
        low, high = 2 * value - np.quantile(kept, tails[::-1])
    elif method == "bca":
        if jackknife is None:
            raise InputError("a BCa interval needs the jackknife", hint="Give resampling.leave_out's result.")
        low, high = np.quantile(kept, bca_tails(value, kept, jackknife, tails))
    else:
        if error is None or errors is None:
            raise InputError("a studentised interval needs standard errors", hint="Give error and errors.")
        low, high = _studentised(value, draws, error, errors, tails)
    return Estimate(value=float(value), low=float(min(low, value)), high=float(max(high, value)))


def bca_tails(value: float, draws: Array, jackknife: Array, tails: Array) -> Array:
    """Tail probabilities corrected for bias and skew, shape of `tails`."""
    from scipy.special import ndtr, ndtri

    below = (np.sum(draws < value) + 0.5 * np.sum(draws == value)) / len(draws)
    shift = ndtri(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    off = jackknife[np.isfinite(jackknife)]
    off = off.mean() - off if off.size else off
    squares = float((off**2).sum())
    skew = float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
    moved = shift + ndtri(tails)
    return np.asarray(ndtr(shift + moved / np.maximum(1 - skew * moved, 1e-3)))


def _studentised(value: float, draws: Array, error: float, errors: Array, tails: Array) -> Array:
    with np.errstate(all="ignore"):
        ratio = (draws - value) / errors
    kept = ratio[np.isfinite(ratio)]
    if not kept.size:
        return np.array([np.nan, np.nan])
    return np.asarray(value - error * np.quantile(kept, tails[::-1]))


def end_errors(draws: Array, level: float, *, weights: Array | None = None) -> tuple[float, float]:
    """Standard errors of the two ends of a percentile interval.

    Parameters
    ----------
    draws
        The quantity in every resample, shape (n_resamples,).
    level
        Of the interval.
    weights
        How often each run was drawn (`Resamples.weights`), shape (n_resamples, n_runs). With them, the
        jackknife after bootstrap (Efron 1992, https://doi.org/10.1111/j.2517-6161.1992.tb01866.x): what
        other runs would have given. Without, only what more resamples would remove.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    finite = np.isfinite(draws)
    draws = draws[finite]
    if draws.size < 2:
        return float("nan"), float("nan")
    if weights is None:
        return _order_error(draws, tails[0]), _order_error(draws, tails[1])
    absent = np.unique(weights[finite].T == 0, axis=0)
    without = [draws[rows] for rows in absent]
    ends = np.array([np.quantile(part, tails) for part in without if part.size >= 2 / (1 - level)])
    if len(ends) < 2:
        return float("nan"), float("nan")
    spread = np.sqrt((len(ends) - 1) / len(ends) * ((ends - ends.mean(axis=0)) ** 2).sum(axis=0))
    return float(spread[0]), float(spread[1])


def _order_error(draws: Array, tail: float) -> float:
    """Standard error of a sample quantile: half the way between the quantiles one binomial error off."""
    error = np.sqrt(tail * (1 - tail) / len(draws))
    low, high = np.quantile(draws, np.clip([tail - error, tail + error], 0, 1))
    return float(high - low) / 2
