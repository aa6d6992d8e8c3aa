r"""The one more run that would help most, by the information of the runs at hand (c-optimality).

A quantity with gradient g in fitted coordinates has variance :math:`g^T M^{-1} g` times that of the noise,
with :math:`M = J^T W J`. A run whose prediction has gradient j makes it

.. math:: g^T M^{-1} g - \frac{(g^T M^{-1} j)^2}{1 + j^T M^{-1} j}

so the best of many candidates is found without a fit. Candidates fill the range that the runs span, and
beyond it up to ten times the compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scalescope.fitting.covariance import pseudo_inverse
from scalescope.fitting.noise import free_slopes
from scalescope.fitting.objective import Objective
from scalescope.laws.designs import spread_over
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN, optimal_size
from scalescope.points import Array
from scalescope.units import format_percent, format_significant

STRETCH = 10.0
"""How far beyond the runs candidates go, in compute, or in the variable of a law without it."""
CANDIDATES = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A run to make next."""

    x: Mapping[str, float]
    """The law's variables."""
    gain: float
    """Share of the standard error of the quantity that it removes."""
    gain_within: float
    """The same for the best run that is not dearer than the dearest at hand."""
    x_within: Mapping[str, float]
    """That run."""
    quantity: Mapping[str, float]
    """Where the prediction was asked for."""
    text: str


def best_extra(objective: Objective, theta: Array, quantity: Mapping[str, float]) -> Extra | None:
    """Find the run that would narrow the prediction at `quantity` most; None where none would.

    Parameters
    ----------
    objective
        What was minimised.
    theta
        The optimum, natural units, shape (k,).
    quantity
        The law's variables where the prediction matters.
    """
    phi = objective.fitted(theta[None])[0]
    slopes, moves = free_slopes(objective, phi)
    inverse = pseudo_inverse((slopes * objective.weighted(np.ones(objective.n_runs))) @ slopes.T)
    goal = _slopes_at(objective, phi, moves, {name: np.array([one]) for name, one in quantity.items()})[:, 0]
    places = candidates(objective)
    each = _slopes_at(objective, phi, moves, places)
    with np.errstate(all="ignore"):
        before = float(goal @ inverse @ goal)
        removed = (goal @ inverse @ each) ** 2 / (1 + np.einsum("kn,kl,ln->n", each, inverse, each))
    removed = np.where(np.isfinite(removed), removed, 0.0)
    if not (np.isfinite(before) and before > 0 and removed.max(initial=0.0) > 1e-6 * before):
        return None
    gain = 1 - np.sqrt(np.maximum(1 - removed / before, 0.0))
    within = _cost(places) <= _cost(objective.x).max() * (1 + 1e-9)
    best, cheap = int(gain.argmax()), int(np.where(within, gain, -1.0).argmax())
    at, at_cheap = ({name: float(column[row]) for name, column in places.items()} for row in (best, cheap))
    return Extra(
        x=at,
        gain=float(gain[best]),
        gain_within=float(gain[cheap]),
        x_within=at_cheap,
        quantity=dict(quantity),
        text=_words(at, float(gain[best]), at_cheap, float(gain[cheap]), quantity),
    )


def _words(
    at: Mapping[str, float],
    gain: float,
    at_cheap: Mapping[str, float],
    gain_cheap: float,
    quantity: Mapping[str, float],
) -> str:
    first = (
        f"A run at {_place(at)} would narrow the prediction at {_place(quantity)} by {format_percent(gain)}"
    )
    if at == at_cheap:
        return f"{first}."
    second = f"one at {_place(at_cheap)} by {format_percent(gain_cheap)}"
    return f"{first}; no dearer than the runs at hand, {second}."


def candidates(objective: Objective) -> dict[str, Array]:
    """Places for one more run, each of shape (about `CANDIDATES`,)."""
    ranges = {}
    for name, one in objective.law.variables.items():
        column = objective.x[name]
        low, high = float(column.min()), float(column.max())
        if one.logarithmic and low > 0:
            ranges[name] = (low, high * STRETCH, True)
        else:
            ranges[name] = (low, high, False)
    places = spread_over(ranges, CANDIDATES)
    affordable = _cost(places) <= STRETCH * _cost(objective.x).max() * (1 + 1e-9)
    return {name: column[affordable] for name, column in places.items()}


def far_corner(objective: Objective, theta: Array) -> dict[str, float]:
    """Where a prediction matters when nothing is said: the best size at ten times the largest compute.

    For a law without a best size but with N and D, both of the dearest run times the root of ten, the rest
    as there; for any other, ten times the largest value of every variable that the law has a trend in, and
    the median of the others.
    """
    law, x = objective.law, objective.x
    if law.is_surface:
        compute = STRETCH * float(_cost(x).max())
        size = float(optimal_size(law.name, theta, compute))
        every = {"N": size, "D": compute / (FLOP_PER_PARAM_TOKEN * size), "C": compute}
        return {name: every[name] for name in law.variables}
    if {"N", "D"} <= set(x):
        dearest = int(_cost(x).argmax())
        further = {name: np.sqrt(STRETCH) if name in ("N", "D") else 1.0 for name in x}
        return {name: float(column[dearest]) * further[name] for name, column in x.items()}
    return {
        name: float(x[name].max()) * STRETCH if one.trend and one.logarithmic else float(np.median(x[name]))
        for name, one in law.variables.items()
    }


def _slopes_at(objective: Objective, phi: Array, moves: Array, x: Mapping[str, Array]) -> Array:
    """Slopes of the predictions at other places, over a typical standard error, shape (m, n)."""
    slopes = replace(objective, x=x, errors=None, weights=None).jacobian(phi[None])[0]
    typical = 1.0 if objective.errors is None else float(np.median(objective.errors))
    return np.asarray(moves.T @ np.where(np.isfinite(slopes), slopes, 0.0) / typical)


def _cost(x: Mapping[str, Array]) -> Array:
    """Compute up to a factor, where the variables tell it; else the product of what they are."""
    if "C" in x:
        return np.asarray(x["C"])
    if "N" in x and "D" in x:
        return np.asarray(FLOP_PER_PARAM_TOKEN * x["N"] * x["D"])
    first = next(iter(x.values()))
    return np.asarray(first)


def _place(x: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {format_significant(value, 2)}" for name, value in x.items())
