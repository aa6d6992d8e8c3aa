r"""Profiles: the objective with one quantity held, everything else free, and the interval that follows.

A quantity is a coefficient, or the prediction at one place. The others are re-optimised at every value of a
grid, all values as one batch, each from the optimum, from the optimum moved along the covariance, and then
from its neighbours' solutions until none improves: a profile crosses valleys that single starts do not.

The likelihood ratio of an M-estimator needs the scale of the noise (Huber & Ronchetti, Robust Statistics,
section 7.4):

.. math:: \Lambda(q) = \frac{2 A}{B}\,(S(q) - S_{\min}), \qquad A = E\,\psi'(e), \quad B = E\,\psi(e)^2

which for squares is the F statistic. Values with :math:`\Lambda \le t_\nu^2` are inside. Where runs share
noise, or it differs from place to place, :math:`\Lambda` is divided by what that does to the variance of the
quantity (see `covariance`).

An end that the runs leave open is infinite (zero for the lower end of a positive coefficient).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.fitting.clusters import Labels
from scalescope.fitting.covariance import Covariance, covariance, stiffness
from scalescope.fitting.held import Held, HeldCoefficient, HeldPrediction
from scalescope.fitting.noise import estimate_noise
from scalescope.fitting.objective import Objective
from scalescope.points import Array, Estimate, from_plain, to_plain

FURTHEST = 400.0
"""Standard errors at which the search for an end gives up, unless the quantity itself stops earlier."""
STRIDES = np.array([1.3, 1.7, 2.2, 3.0])
"""Where the search for an end looks next, in distances of the furthest value so far."""
ROUNDS = 5
"""Passes of starting from neighbours, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The objective against one quantity."""

    schema: ClassVar[str] = "scalescope.profile/1"

    name: str
    """A coefficient, or `prediction`."""
    values: Array
    """Of the quantity, ascending, natural units, shape (m,)."""
    objective: Array
    """Lowest objective at each, shape (m,)."""
    ratio: Array
    """Likelihood ratio against the lowest, shape (m,)."""
    threshold: float
    """Ratio at the ends of the interval."""
    theta: Array
    """The coefficients that reach the objective, natural units, shape (m, k)."""
    level: float
    estimate: Estimate
    """The optimum and the interval; infinite (or zero, where positive) at an open end."""
    open_ends: tuple[bool, bool]
    """Whether the runs leave the lower and the upper end open."""

    def near(self, share: float) -> tuple[float, float]:
        """Lowest and highest value within `share` (relative) of the lowest objective."""
        good = self.values[self.objective <= (1 + share) * self.objective.min()]
        return float(good.min()), float(good.max())

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a value."""
        rows = zip(self.values.tolist(), self.objective.tolist(), self.ratio.tolist(), strict=True)
        return [
            {"name": self.name, "value": value, "objective": objective, "ratio": ratio}
            for value, objective, ratio in rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """Values of the quantity on its fitted scale, ascending, and the best solution at each."""

    at: Array
    phi: Array
    objective: Array


def profile(
    objective: Objective,
    target: Array,
    theta: Array,
    name: str,
    *,
    level: float = 0.9,
    n: int = 21,
    x: Mapping[str, float] | None = None,
    labels: Labels | None = None,
) -> Profile:
    """Profile one coefficient, or the prediction at one place.

    Parameters
    ----------
    objective
        What was minimised.
    target
        What the law predicts, shape (n_runs,).
    theta
        The optimum, natural units, shape (k,).
    name
        A coefficient; `prediction` for the prediction at `x`.
    level
        Of the interval.
    n
        Values within four standard errors of the optimum; more are added where an end lies further out.
    x
        The law's variables at one place.
    labels
        Cluster of every run; every run by itself where not given.

    Raises
    ------
    InputError
        If the law has no such coefficient, or a prediction is asked for without a place.
    """
    from scipy.stats import t as student

    held = _held(objective, target, name, x)
    count = len(target)
    labels = np.arange(count) if labels is None else labels
    phi = objective.fitted(theta[None])[0]
    residuals = objective.residuals(phi[None], objective.transform(target)[None])[0]
    noise = estimate_noise(objective, phi, residuals, labels)
    shared = covariance(objective, target, theta, labels=labels)
    alone = covariance(objective, target, theta, form="model")
    slope = held.slope(phi)
    error, bare = shared.error_of(slope), alone.error_of(slope)
    mean_slope, square = stiffness(objective, noise)
    # A coefficient at a limit has no error of its own; then the ratio stays as it is.
    wider = (bare / error) ** 2 if error > 0 and bare > 0 else 1.0
    factor = 2 * mean_slope / square * wider if square > 0 else 1e300
    threshold = float(student.ppf((1 + level) / 2, noise.freedom)) ** 2
    limit = threshold / factor
    curve = _solve(held, phi, error or 0.1, shared, limit, n)
    ends, opened = _ends(held, curve, limit, float(held.of(phi[None])[0]))
    natural = held.natural(curve.at)
    low, value, high = (float(held.natural(np.array([end]))[0]) for end in ends)
    return Profile(
        name=name,
        values=natural,
        objective=curve.objective,
        ratio=(curve.objective - curve.objective.min()) * factor,
        threshold=threshold,
        theta=objective.natural(curve.phi),
        level=level,
        estimate=Estimate(value=value, low=min(low, value), high=max(high, value)),
        open_ends=opened,
    )


def _held(objective: Objective, target: Array, name: str, x: Mapping[str, float] | None) -> Held:
    y = objective.transform(target)
    if name == "prediction":
        if x is None or set(x) != set(objective.law.variables):
            letters = ", ".join(objective.law.variables)
            raise InputError("a prediction needs a place", hint=f"Give x with one number for {letters}.")
        return HeldPrediction.build(objective, y, x)
    if name not in objective.law.coefficients:
        raise InputError(
            f"{objective.law.name} has no coefficient {name!r}",
            hint=nearest(name, objective.law.coefficients),
        )
    return HeldCoefficient(objective=objective, y=y, index=objective.law.place(name)[0])


def _solve(held: Held, phi: Array, error: float, cov: Covariance, limit: float, n: int) -> _Curve:
    """Solve about the optimum, then outwards until the objective passes the limit or the range ends."""
    middle = float(held.of(phi[None])[0])
    low, high = held.range
    slope = held.slope(phi)
    along = cov.fitted @ slope / error**2 if cov.error_of(slope) > 0 else np.zeros_like(phi)
    curve = _Curve(at=np.array([middle]), phi=phi[None], objective=held.value(phi[None]))

    def add(curve: _Curve, at: Array) -> _Curve:
        at = np.setdiff1d(np.clip(at, low, high), curve.at)
        near = curve.phi[np.abs(curve.at[None, :] - at[:, None]).argmin(axis=1)]
        moved = phi + (at - middle)[:, None] * along
        return _merged(curve, held, at, np.stack([near, moved, np.tile(phi, (len(at), 1))]))

    curve = _settle(held, add(curve, middle + error * np.linspace(-4, 4, n)))
    settled = len(curve.at)
    for side in (-1, 1):
        end = low if side < 0 else high
        for _ in range(12):
            outermost = curve.at[0] if side < 0 else curve.at[-1]
            outside = curve.objective[0 if side < 0 else -1] > curve.objective.min() + limit
            reach = abs(outermost - middle)
            if outside or outermost == end or reach > min(held.reach, FURTHEST * error):
                break
            curve = add(curve, middle + side * np.minimum(reach * STRIDES, 1.01 * held.reach))
    return curve if len(curve.at) == settled else _settle(held, curve)


def _merged(curve: _Curve, held: Held, at: Array, starts: Array) -> _Curve:
    """Add values solved from starts of shape (n_starts, len(at), k)."""
    if not len(at):
        return curve
    phi, objective = held.minimise(np.tile(at, len(starts)), starts.reshape(-1, starts.shape[2]))
    objective = objective.reshape(len(starts), len(at))
    best = objective.argmin(axis=0)
    every = np.arange(len(at))
    order = np.argsort(np.concatenate([curve.at, at]), kind="stable")
    return _Curve(
        at=np.concatenate([curve.at, at])[order],
        phi=np.concatenate([curve.phi, phi.reshape(len(starts), len(at), -1)[best, every]])[order],
        objective=np.concatenate([curve.objective, objective[best, every]])[order],
    )


def _settle(held: Held, curve: _Curve) -> _Curve:
    """Start every value from its neighbours' solutions until none gets better."""
    phi, objective = curve.phi.copy(), curve.objective.copy()
    m = len(curve.at)
    pending = np.arange(m)
    for _ in range(ROUNDS):
        target = np.concatenate([pending[pending > 0], pending[pending < m - 1]])
        source = np.concatenate([pending[pending > 0] - 1, pending[pending < m - 1] + 1])
        if not target.size:
            break
        found, value = held.minimise(curve.at[target], phi[source])
        improved = set[int]()
        for row, place in enumerate(target):
            if value[row] < objective[place] * (1 - 1e-6):
                phi[place], objective[place] = found[row], value[row]
                improved |= {int(place) - 1, int(place) + 1}
        pending = np.array(sorted(improved & set(range(m))), dtype=np.intp)
    return _Curve(at=curve.at, phi=phi, objective=objective)


def _ends(
    held: Held, curve: _Curve, limit: float, middle: float
) -> tuple[tuple[float, float, float], tuple[bool, bool]]:
    """Where the profile last passes the limit on each side, and whether it never does."""
    over = curve.objective - curve.objective.min() - limit
    inside = np.flatnonzero(over <= 0)
    ends, opened = [middle, middle, middle], [False, False]
    if not inside.size:  # the limit is no number: residuals that say nothing of their noise
        return (held.open_end[0], middle, held.open_end[1]), (True, True)
    for place, (last, step) in enumerate(((inside[0], -1), (inside[-1], 1))):
        outer = last + step
        if not 0 <= outer < len(over):
            opened[place] = True
            ends[2 * place] = held.open_end[place]
            continue
        a, b = curve.at[last], curve.at[outer]
        # The root of the ratio is nearly straight about the optimum.
        gain = np.sqrt(np.maximum(over[[last, outer]] + limit, 0.0))
        share = (np.sqrt(limit) - gain[0]) / (gain[1] - gain[0])
        ends[2 * place] = float(a + np.clip(share, 0, 1) * (b - a))
    return (ends[0], ends[1], ends[2]), (opened[0], opened[1])
