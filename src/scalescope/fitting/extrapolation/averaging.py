r"""Forms weighed against each other, their average, and how far off it may be.

The weight of a form is :math:`e^{-D/5} / V`: D its deviance (twice a negative log likelihood, penalty
included), tempered because errors of neighbouring points are alike; V the geometric mean of its errors behind
the cuts. Forms are averaged in log y.

The variance of the average in log y has four parts: what the coefficients leave open, the disagreement of the
forms, noise, and **drift**: no form is true, so that the change since the end of the data is wrong by a share
:math:`\kappa`. A share of 0.4 gave intervals of 90% their coverage on learning curves of image classifiers
and more on other curves (`benchmarks/curves.py`); what the cuts of this curve show is mixed in as if that
value rested on four cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from scalescope.fitting.extrapolation.curve import Curve
from scalescope.fitting.extrapolation.forms import Form
from scalescope.fitting.extrapolation.validation import Candidate
from scalescope.points import Array

TEMPER = 5.0
PRICE = 1.0
DRIFT = 0.4
"""Usual share of the change since the end of the data by which an average is off."""
DRIFT_CUTS = 4.0
"""How many cuts that value counts for."""
MOST_DRIFT = 1.0
"""What one cut can say; a curve that hardly changes would say anything."""
LEAST_ERROR = 1e-5


class Placed(Protocol):
    """A form at its optimum."""

    @property
    def form(self) -> Form:
        """The form."""

    @property
    def phi(self) -> Array:
        """Its coordinates."""

    @property
    def spread(self) -> Array:
        """Their covariance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """Log level and its standard deviation by parts, each of shape (n,)."""

    v: Array
    each: Array
    """Log level of every form, shape (n_forms, n)."""
    coefficients: Array
    forms: Array
    change: Array
    """Change of log y since the end of the data."""


def weights_of(found: list[Candidate]) -> Array:
    """Weight of each form, shape (n_forms,), summing to one."""
    log_weight = np.array([-(one.deviance[0] + PRICE * one.form.k) / TEMPER for one in found])
    if len(found[0].beyond):
        log_weight -= np.array([np.log(np.maximum(one.errors, LEAST_ERROR)).mean() for one in found])
    return _normal(log_weight)


def average(found: Sequence[Placed], weights: Array, u: Array) -> Average:
    """Average the forms at places u."""
    at = np.append(u, 0.0)[None]
    rows, variances = [], []
    for one in found:
        with np.errstate(all="ignore"):
            v, parts = one.form.curve(one.phi[None], at)
        slopes = np.concatenate(parts)
        rows.append(v[0])
        variances.append(np.einsum("kn,kl,ln->n", slopes, one.spread, slopes))
    v, variance = np.array(rows), np.array(variances)
    mean = weights @ v
    apart = weights @ (v - mean) ** 2
    return Average(
        v=mean[:-1],
        each=v[:, :-1],
        coefficients=np.sqrt(weights @ variance)[:-1],
        forms=np.sqrt(apart)[:-1],
        change=(mean - mean[-1])[:-1],
    )


def freedom_of(n: int, found: Sequence[Placed], weights: Array) -> float:
    """Points less the coefficients of an average form, at least one."""
    return max(n - float(weights @ [one.form.k for one in found]), 1.0)


def noise_of(curve: Curve, found: Sequence[Placed], weights: Array) -> float:
    """Standard deviation of a point about the average, in log y, corrected for the coefficients."""
    mean = average(found, weights, curve.u).v
    return float(np.sqrt(((curve.v - mean) ** 2).sum() / freedom_of(len(mean), found, weights)))


def drift_of(found: list[Candidate]) -> float:
    """Share of the change behind an end by which an average is off: what is usual, and the cuts' own."""
    squares, cuts = DRIFT_CUTS * DRIFT**2, DRIFT_CUTS
    for cut in range(len(found[0].beyond)):
        weights = _normal(np.array([-one.deviance[1 + cut] / TEMPER for one in found]))
        error = weights @ np.array([one.beyond[cut].error for one in found])
        change = weights @ np.array([one.beyond[cut].change for one in found])
        count = found[0].beyond[cut].count
        noise = weights @ [one.noise for one in found]
        wrong = max(float(np.average(error**2, weights=count) - noise), 0.0)
        squares += min(wrong / max(float(np.average(change**2, weights=count)), 1e-300), MOST_DRIFT**2)
        cuts += 1
    return float(np.sqrt(squares / cuts))


def half_width(parts: Average, *, noise: float, drift: float, level: float, freedom: float) -> Array:
    """Half the width of the interval in log y, shape (n,); Student's t, three degrees of freedom at least."""
    sd = np.sqrt(parts.coefficients**2 + parts.forms**2 + noise**2 + (drift * parts.change) ** 2)
    return np.asarray(sd * stdtrit(max(freedom, 3.0), (1 + level) / 2))


def _normal(log_weight: Array) -> Array:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())
