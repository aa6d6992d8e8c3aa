"""Every form fitted to the whole curve and to its beginnings, and judged by what followed those."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.extrapolation.curve import Curve
from scalescope.fitting.extrapolation.forms import Form
from scalescope.fitting.extrapolation.solver import Beginnings, Problem, State
from scalescope.points import Array

RATIOS = (1.5, 2.0, 3.0)
"""How many times beyond a cut the curve goes on."""
FEWEST = 5
"""Points before a cut."""
SHARE = 0.35
"""Of the range of log x that must lie before a cut."""
KEEP = 5
"""Starts of every form and cut that are followed."""
FIRST, LAST = 20, 100
"""Steps of all of these, then of the best of them."""
LOOSE = 1e-2
"""Precision of the coordinates that nothing else holds: a standard deviation of ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """What followed a cut, against what a form made of the points before it; shape (n_later,) each."""

    error: Array
    """log y measured - log y forecast."""
    change: Array
    """log y forecast, from the cut on."""
    count: Array
    """Weight of the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One form at its optimum for the whole curve, and its errors behind each cut."""

    form: Form
    phi: Array
    spread: Array
    """Covariance of phi."""
    deviance: Array
    """What the data say against it, comparable between forms: of the whole curve, then of each cut."""
    noise: float
    """Variance of a point of weight one, in log y."""
    beyond: tuple[Beyond, ...]
    """One for each cut."""
    slope_change: float
    """Log of the ratio of the last two steps before the end; infinite where the curve turned."""
    last_change: float
    """Change of log y over the last step before the end: a doubling of x or a quarter of the range."""

    @property
    def errors(self) -> Array:
        """Root mean square error behind each cut, in log y."""
        return np.array([np.sqrt(np.average(one.error**2, weights=one.count)) for one in self.beyond])


def cuts_of(u: Array) -> Array:
    """Ends of the beginnings to fit, as values of u: the end itself, then the cuts."""
    ends = [0.0]
    for ratio in RATIOS:
        before = u <= -np.log(ratio) + 1e-9
        if before.sum() >= FEWEST and float(u[before].max()) - u[0] >= -SHARE * u[0]:
            ends.append(float(u[before].max()))
    return np.array(list(dict.fromkeys(ends)))


def candidates(curve: Curve, forms: tuple[Form, ...]) -> list[Candidate]:
    """Fit every form to the whole curve and to its beginnings; forms without a finite fit are left out."""
    u, v, count = curve.bins
    ends = cuts_of(u)
    problem = Problem(forms=forms, data=Beginnings.of(u, v, count, ends))
    starts = []
    for index, form in enumerate(forms):
        for cut, end in enumerate(ends):
            n = int((u <= end + 1e-9).sum())
            starts.append((index, cut, form.starts(u[:n], v[:n], count[:n])))
    state = problem.improve(problem.start(starts, keep=KEEP), steps=FIRST)
    state = problem.improve(problem.leading(state, keep=1), steps=LAST)
    rows = [[state.best(index, cut) for cut in range(len(ends))] for index in range(len(forms))]
    return [
        _candidate(problem, state, ends, count, one)
        for one in rows
        if np.isfinite(state.objective[one]).all()
    ]


def _candidate(problem: Problem, state: State, ends: Array, count: Array, rows: list[int]) -> Candidate:
    whole, k = rows[0], problem.forms[state.form[rows[0]]].k
    form = problem.forms[state.form[whole]]
    phi = state.phi[:, :k]
    slope_change, last_change = _last_steps(form, problem.data, phi[whole])
    log_noise, (n, freedom) = np.log(state.noise[rows]), _sizes(problem, state, rows)
    return Candidate(
        form=form,
        phi=phi[whole],
        spread=np.asarray(np.linalg.inv(state.hessian[whole, :k, :k] + LOOSE * np.eye(k)), dtype=np.float64),
        # As if no form had used up degrees of freedom: n log(noise) plus the penalty.
        deviance=state.objective[rows] + (n - freedom) * log_noise,
        noise=float(state.noise[whole]),
        beyond=tuple(
            _beyond(form, problem.data, ends[cut], count, phi[row]) for cut, row in enumerate(rows) if cut
        ),
        slope_change=slope_change,
        last_change=last_change,
    )


def _sizes(problem: Problem, state: State, rows: list[int]) -> tuple[Array, Array]:
    """Points before each cut, and degrees of freedom that the form leaves there."""
    n = (problem.data.weights > 0).sum(axis=1)[state.cut[rows]]
    return n, problem.degrees()[state.form[rows], state.cut[rows]]


def _beyond(form: Form, data: Beginnings, end: float, count: Array, phi: Array) -> Beyond:
    later = data.u > end + 1e-9
    with np.errstate(all="ignore"):
        v = np.nan_to_num(form.curve(phi[None], np.append(data.u[later], end)[None])[0][0], nan=-10.0)
    return Beyond(error=data.v[later] - v[:-1], change=v[:-1] - v[-1], count=count[later])


def _last_steps(form: Form, data: Beginnings, phi: Array) -> tuple[float, float]:
    """Log ratio of the last two steps before the end, infinite where the curve turned; and the last step."""
    with np.errstate(all="ignore"):
        v = form.curve(phi[None], data.grid[:1, :3])[0][0]
        before, last = np.diff(v)
        ratio = last / before
    return float(np.log(ratio)) if ratio > 0 else float("inf"), float(last)
