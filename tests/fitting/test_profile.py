from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.profile import profile
from scalescope.laws import get_law
from scalescope.points import Array

LAW = get_law("loss-size")
TRUE = np.array([0.9, 35.0, 0.4])
SIZES = np.geomspace(1e3, 1e6, 20)
SQUARED = Criterion(penalty="squared")


def table(seed: int = 0, noise: float = 0.01) -> Array:
    rng = np.random.default_rng(seed)
    return LAW.value(TRUE, N=SIZES) * np.exp(noise * rng.standard_normal(len(SIZES)))


def fitted(target: Array, **fields) -> tuple[Objective, Array]:
    objective = Objective(law=LAW, x={"N": SIZES}, **{"criterion": SQUARED, **fields})
    return objective, find_optimum(objective, target).theta


def test_the_interval_of_least_squares_is_where_the_f_statistic_passes_its_quantile() -> None:
    from scipy.optimize import brentq, least_squares
    from scipy.stats import t as student

    target = table()
    objective, theta = fitted(target)
    found = profile(objective, target, theta, "alpha", level=0.9, n=41)

    def rest(alpha: float) -> float:
        def residuals(u: Array) -> Array:
            return np.log(target) - np.log(u[0] + np.exp(u[1]) * SIZES**-alpha)

        return 2 * least_squares(residuals, [theta[0], np.log(theta[1])], xtol=1e-12).cost

    best = rest(theta[2])
    allowed = best * (1 + student.ppf(0.95, 17) ** 2 / 17)
    end = brentq(lambda alpha: rest(alpha) - allowed, theta[2], theta[2] + 0.2, xtol=1e-4)
    assert found.estimate.high == pytest.approx(end, abs=2e-3)


def test_the_profile_is_lowest_at_the_optimum_and_rises_to_both_sides() -> None:
    target = table()
    objective, theta = fitted(target)
    found = profile(objective, target, theta, "E")
    lowest = found.objective.argmin()
    assert found.values[lowest] == pytest.approx(theta[0], rel=0.02)
    assert (np.diff(found.objective[: lowest + 1]) < 0).all()
    assert (np.diff(found.objective[lowest:]) > 0).all()
    assert found.estimate.low < theta[0] < found.estimate.high


def test_every_point_of_a_profile_reaches_its_objective() -> None:
    target = table()
    objective, theta = fitted(target)
    found = profile(objective, target, theta, "A")
    np.testing.assert_allclose(found.theta[:, 1], found.values)
    again = objective.total(objective.fitted(found.theta), np.log(target)[None], np.ones((1, len(SIZES))))
    np.testing.assert_allclose(again, found.objective, rtol=1e-9)


def test_an_end_that_the_runs_leave_open_is_infinite() -> None:
    law = get_law("chinchilla")
    rng = np.random.default_rng(0)
    size, tokens = np.geomspace(1e6, 1e9, 16), np.full(16, 1e15) * np.geomspace(1, 2, 16)
    loss = (1.7 + 400 * size**-0.34) * np.exp(0.01 * rng.standard_normal(16))
    objective = Objective(
        law=law,
        x={"N": size, "D": tokens},
        criterion=SQUARED,
        restraints=Restraints(fixed={"E": 1.7, "beta": 0.35}),
    )
    theta = np.array([1.7, 400.0, 1.0, 0.34, 0.35])
    found = profile(objective, loss, theta, "B")
    assert found.estimate.low == 0.0
    assert found.open_ends[0]
    # Data hardly matter here, but not without end: tokens are many, not infinite.
    assert np.isfinite(found.estimate.high)


def test_a_prediction_has_a_profile_as_wide_as_its_scatter() -> None:
    x = {"N": 1e7}
    truth = float(LAW.value(TRUE, N=np.array([1e7]))[0])
    values, halves = [], []
    for seed in range(6):
        target = table(seed)
        objective, theta = fitted(target)
        found = profile(objective, target, theta, "prediction", x=x, level=0.9, n=11)
        values.append(found.estimate.value)
        halves.append((found.estimate.high - found.estimate.low) / 2 / 1.74)
        np.testing.assert_allclose(LAW.value(found.theta.T, N=np.array(1e7)), found.values, rtol=1e-3)
    assert np.sqrt(np.mean((np.array(values) - truth) ** 2)) == pytest.approx(np.mean(halves), rel=0.7)


def test_runs_that_share_noise_widen_the_interval() -> None:
    rng, labels = np.random.default_rng(2), np.repeat(np.arange(5), 4)
    shared = 0.01 * rng.standard_normal(5)[labels]
    target = LAW.value(TRUE, N=SIZES) * np.exp(shared + 1e-3 * rng.standard_normal(20))
    objective, theta = fitted(target)
    alone = profile(objective, target, theta, "alpha").estimate
    together = profile(objective, target, theta, "alpha", labels=labels).estimate
    assert together.high - together.low > 1.2 * (alone.high - alone.low)


def test_what_is_not_a_quantity_is_refused() -> None:
    target = table()
    objective, theta = fitted(target)
    with pytest.raises(InputError, match="alpah"):
        profile(objective, target, theta, "alpah")
    with pytest.raises(InputError, match="place"):
        profile(objective, target, theta, "prediction")
