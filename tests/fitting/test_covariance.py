from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.covariance import covariance, pseudo_inverse, stiffness
from scalescope.fitting.criterion import Criterion, Prior, Restraints
from scalescope.fitting.noise import noise_of
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law
from scalescope.points import Array

LAW = get_law("loss-size")
TRUE = np.array([0.9, 35.0, 0.4])
SIZES = np.geomspace(1e3, 1e7, 60)
SQUARED = Criterion(penalty="squared")


def objective_of(criterion: Criterion = SQUARED, **fields) -> Objective:
    return Objective(law=LAW, x={"N": SIZES}, criterion=criterion, **fields)


def noisy(rng: np.random.Generator, noise: Array | float = 0.01) -> Array:
    return LAW.value(TRUE, N=SIZES) * np.exp(noise * rng.standard_normal(60))


def scatter(criterion: Criterion, noise: Array | float) -> Array:
    """Standard deviation of the coefficients over many tables."""
    from scalescope.fitting.solver import minimise

    rng, objective = np.random.default_rng(0), objective_of(criterion)
    y = np.log(np.stack([noisy(rng, noise) for _ in range(300)]))
    found = minimise(objective, np.tile(objective.fitted(TRUE[None]), (300, 1)), y, np.ones((1, 60)))
    return objective.natural(found.phi).std(axis=0)


def mean_error(criterion: Criterion, noise: Array | float, form) -> Array:
    rng, objective = np.random.default_rng(1), objective_of(criterion)
    found = []
    for _ in range(8):
        target = noisy(rng, noise)
        theta = find_optimum(objective, target).theta
        found.append(list(covariance(objective, target, theta, form=form).errors.values()))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("form", ["sandwich", "model"])
@pytest.mark.parametrize("criterion", [SQUARED, Criterion(delta=1e-3)], ids=["squares", "huber"])
def test_standard_errors_are_the_scatter_of_repeated_fits(criterion: Criterion, form) -> None:
    np.testing.assert_allclose(mean_error(criterion, 0.01, form), scatter(criterion, 0.01), rtol=0.25)


@pytest.mark.parametrize("noisy_end", [0, 1], ids=["small", "large"])
def test_the_sandwich_is_right_where_noise_differs_from_place_to_place(noisy_end: int) -> None:
    uneven = np.where((SIZES > 1e5) == noisy_end, 0.03, 0.003)
    truth = scatter(SQUARED, uneven)
    np.testing.assert_allclose(mean_error(SQUARED, uneven, "sandwich"), truth, rtol=0.25)


@pytest.mark.parametrize("form", ["sandwich", "model"])
def test_runs_that_share_noise_count_for_less(form) -> None:
    rng, labels = np.random.default_rng(2), np.repeat(np.arange(12), 5)
    objective = objective_of()
    target = LAW.value(TRUE, N=SIZES) * np.exp(0.01 * rng.standard_normal(12)[labels])
    theta = find_optimum(objective, target).theta
    shared = covariance(objective, target, theta, labels=labels, form=form)
    alone = covariance(objective, target, theta, form=form)
    assert shared.errors["E"] > 1.3 * alone.errors["E"]
    assert shared.n_clusters == 12
    assert shared.freedom < alone.freedom


def test_a_fixed_coefficient_has_no_error_and_tied_ones_move_together(make_grid) -> None:
    runs, law = make_grid("chinchilla", noise=0.01), get_law("chinchilla")
    restraints = Restraints(fixed={"E": 0.8}, tied=(("alpha", "beta"),))
    objective = Objective(law=law, x={"N": runs.size, "D": runs.tokens}, restraints=restraints)
    found = covariance(objective, runs.loss, find_optimum(objective, runs.loss).theta)
    assert found.errors["E"] == 0
    assert found.errors["A"] > 0
    assert found.correlation[3, 4] == pytest.approx(1.0)


def test_a_prior_narrows(make_grid) -> None:
    target = noisy(np.random.default_rng(3))
    theta = find_optimum(objective_of(), target).theta
    free = covariance(objective_of(), target, theta).errors["alpha"]
    held = objective_of(restraints=Restraints(priors={"alpha": Prior(mean=0.4, sd=1e-3)}), noise=1e-4)
    assert covariance(held, target, theta).errors["alpha"] < free


def test_by_default_few_runs_take_noise_to_be_alike() -> None:
    rng = np.random.default_rng(4)
    many, theta = noisy(rng), TRUE
    assert covariance(objective_of(), many, theta).form == "sandwich"
    few = Objective(law=LAW, x={"N": SIZES[::6]}, criterion=SQUARED)
    assert covariance(few, many[::6], theta).form == "model"


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InputError, match="meat"):
        covariance(objective_of(), noisy(np.random.default_rng(5)), TRUE, form="meat")  # type: ignore[arg-type]


def test_stiffness_is_that_of_normal_noise() -> None:
    residuals = np.random.default_rng(6).standard_normal(2000)
    noise = noise_of(residuals, np.arange(2000), np.zeros((2000, 1)))
    slope, square = stiffness(objective_of(), noise)
    assert slope == pytest.approx(1.0, rel=1e-6)
    assert square == pytest.approx(1.0, rel=0.1)
    # A penalty that is linear almost everywhere: twice the density at zero, and one, in units of delta.
    slope, square = stiffness(objective_of(Criterion(delta=1e-3)), noise)
    assert slope / 1e-3 == pytest.approx(2 / np.sqrt(2 * np.pi), rel=0.1)
    assert square / 1e-6 == pytest.approx(1.0, rel=0.01)


def test_the_error_of_a_quantity_follows_its_gradient() -> None:
    target = noisy(np.random.default_rng(7))
    found = covariance(objective_of(), target, TRUE)
    slope = np.array([0.0, 0.0, 1.0])
    # alpha is fitted as its logarithm.
    assert found.error_of(slope) * TRUE[2] == pytest.approx(found.errors["alpha"])


def test_scales_far_apart_do_not_spoil_an_inverse() -> None:
    matrix = np.diag([1e-20, 1.0, 1e20])
    np.testing.assert_allclose(pseudo_inverse(matrix) @ matrix, np.eye(3), atol=1e-12)
