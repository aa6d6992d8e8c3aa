r"""How wide a forecast of the loss must be.

Three independent errors are combined in log loss, each as the half-width it would have alone at the level
asked for, added in quadrature (exact for normal errors, and close when one dominates):

* **coefficients**: the spread of the resamples, taken at its widest on the way from the fitted range to the
  target, since curves that cross out there do not know more than where they fan out;
* **one run**: the noise between seeds, or the residuals' where they are larger (then the form already misses
  inside the range), and the standard error of the evaluation;
* **the form itself**: :math:`\tau \ln q`, where q is the reach and :math:`\tau` the error per e-fold of
  reach that this law made when its dearer runs were held out.

Why linear in :math:`\ln q`: a form with a slightly wrong exponent is wrong in log loss by (error of the
exponent) times (log of the distance), and a slightly wrong floor bends away no faster. Hold-outs inside the
runs are the usual check of scaling laws (Hoffmann et al. 2022, appendix D.2, chose their Huber delta by it);
what is added here is that their error is carried on to the reach of the forecast.

A few hold-outs say little about :math:`\tau`. So it starts from what others saw: the five forecasts of loss
at 300 times the fitted compute in Gadre et al. (2024, https://arxiv.org/abs/2403.08540) were off by 0.7, 0.7,
4.3, 0.01 and 1.6%, a root mean square of 0.37% per e-fold. That counts as much as two hold-outs of one's
own, and Student's t with both numbers together as its degrees of freedom replaces the normal: at 90% a
factor of 2.9 instead of 1.6 without any hold-out, 2.4 with one, 2.1 with two.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from scalescope.fitting.holdout import Holdout
from scalescope.fitting.result import Fit
from scalescope.planning.reach import Ranges, reach_of
from scalescope.planning.surface import Surface
from scalescope.points import Array, Estimate

PUBLISHED_ERRORS = (0.007, 0.007, 0.0430, 0.0001, 0.0162)
"""Relative errors of forecasts of loss: Gadre et al. 2024, two on RedPajama, one on C4, two on RefinedWeb."""

PUBLISHED_RATIO = 300.0
"""Their compute over that of the runs they were fitted to."""

PUBLISHED_WEIGHT = 2.0
"""How many hold-outs of one's own they count as: other corpora and far larger runs, so not all five."""

_STEP = 0.1  # of the way out, in ln N and ln D


def predict_loss(
    fit: Fit,
    surface: Surface,
    N: float,
    C: float,
    *,
    level: float,
    past: Sequence[Holdout] = (),
    evaluation_sd: float = 0.0,
) -> Estimate:
    """Predict the loss of one new run of size N at compute C; the law may use any of N, D and C."""
    D = C / (6 * N)
    below, above = coefficient_spread(surface, N, D, fit.ranges, level)
    normal = NormalDist().inv_cdf((1 + level) / 2)
    run = normal * float(np.hypot(run_sd(fit), evaluation_sd))
    reach = max(reach_of(N, D, C, fit.ranges).values(), default=1.0)
    rate, degrees = form_error(fit, past)
    form = _student(degrees, level) * rate * float(np.log(reach))
    value = float(surface.loss(np.array([N]), np.array([C]))[0, 0])
    low = value * float(np.exp(-np.sqrt(below**2 + run**2 + form**2)))
    high = value * float(np.exp(np.sqrt(above**2 + run**2 + form**2)))
    return Estimate(value=value, low=low, high=high)


def run_sd(fit: Fit) -> float:
    """Standard deviation of the log loss of one run around the law, inside the fitted range."""
    return max(fit.noise_sd or 0.0, fit.residual_sd)


def coefficient_spread(
    surface: Surface, N: float, D: float, ranges: Ranges, level: float
) -> tuple[float, float]:
    """Half-widths below and above, in log loss, of the resamples: the widest from the range to (N, D).

    The way out keeps tokens per parameter; it begins where such a run would leave the fitted range.
    """
    sizes, tokens = way_out(N, D, ranges)
    logs = np.log(surface.loss(sizes, 6 * sizes * tokens))
    off = logs[1:] - logs[0]
    usable = off[np.isfinite(off).all(axis=1)]
    if not len(usable):
        return 0.0, 0.0
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return float(max(0.0, -low.min())), float(max(0.0, high.max()))


def way_out(N: float, D: float, ranges: Ranges) -> tuple[Array, Array]:
    """Sizes and tokens from the edge of the fitted range to (N, D) or just past it; (N, D) alone inside.

    The steps are counted from the edge, so that the way to a farther target contains the way to a nearer.
    """
    reach = {name: np.log(value / ranges[name][1]) for name, value in _named(N, D) if name in ranges}
    # C grows with both N and D.
    distance = max(0.0, *(r / 2 if name == "C" else r for name, r in reach.items()), 0.0)
    steps = np.arange(np.ceil(distance / _STEP) + 1) * _STEP - distance if distance else np.zeros(1)
    return N * np.exp(steps), D * np.exp(steps)


def form_error(fit: Fit, past: Sequence[Holdout]) -> tuple[float, float]:
    """Error of the law's form in log loss per e-fold of reach, and the degrees of freedom behind it.

    The noise of single runs is taken off the hold-outs' errors, as it is added again for the new run. It is
    never taken for less than the standard error of their mean: a smaller error could not have been seen. A
    hold-out nearer than one e-fold counts for less, since any error looks steep from close by.
    """
    noise = run_sd(fit) ** 2
    total, weights = PUBLISHED_WEIGHT * published_form_error() ** 2, PUBLISHED_WEIGHT
    for one in own_holdouts(fit, past):
        distance = float(np.log(one.ratio)) ** 2
        weight = min(1.0, distance)
        excess = max(one.rms_error**2 - noise, noise / max(one.n_predicted, 1))
        total, weights = total + weight * excess / distance, weights + weight
    return float(np.sqrt(total / weights)), weights


def own_holdouts(fit: Fit, past: Sequence[Holdout]) -> list[Holdout]:
    """Those of this law that reach beyond their fit."""
    return [one for one in past if one.law == fit.law and one.ratio > 1]


def published_form_error() -> float:
    """Root mean square of the published errors, per e-fold of reach."""
    return float(np.sqrt(np.mean(np.square(PUBLISHED_ERRORS))) / np.log(PUBLISHED_RATIO))


def _named(N: float, D: float) -> tuple[tuple[str, float], ...]:
    return (("N", N), ("D", D), ("C", 6 * N * D))


def _student(degrees: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))
