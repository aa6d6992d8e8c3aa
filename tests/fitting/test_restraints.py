from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting import Criterion, Prior, Restraints
from scalescope.fitting.coordinates import Coordinates
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.solver import minimise
from scalescope.laws import get_law

CHINCHILLA = get_law("chinchilla")
NAMES = list(CHINCHILLA.coefficients)


@pytest.fixture
def table(make_grid):
    runs = make_grid("chinchilla", noise=0.01, n_budgets=5)
    return {"N": runs.size, "D": runs.tokens}, runs.loss


def optimum(table, restraints, **options):
    x, loss = table
    return find_optimum(Objective(law=CHINCHILLA, x=x, restraints=restraints, **options), loss)


def coefficient(found, name: str) -> float:
    return float(found.theta[NAMES.index(name)])


def test_a_fixed_coefficient_stays_and_the_others_move(table) -> None:
    free, held = optimum(table, Restraints()), optimum(table, Restraints(fixed={"alpha": 0.3}))
    assert coefficient(held, "alpha") == pytest.approx(0.3, rel=1e-12)
    assert coefficient(held, "E") != pytest.approx(coefficient(free, "E"), rel=1e-3)
    assert held.objective > free.objective
    assert "alpha" not in held.certificate.at_bound


def test_a_scale_can_be_fixed_at_zero(table) -> None:
    assert coefficient(optimum(table, Restraints(fixed={"E": 0.0})), "E") == 0.0


def test_tied_coefficients_are_one_number_and_the_best_such(table) -> None:
    found = optimum(table, Restraints(tied=(("alpha", "beta"),)))
    shared = coefficient(found, "alpha")
    assert shared == coefficient(found, "beta")
    around = [
        optimum(table, Restraints(fixed={"alpha": shared * f, "beta": shared * f})).objective
        for f in (0.98, 1.0, 1.02)
    ]
    assert around[1] == pytest.approx(found.objective, rel=1e-8)
    assert min(around) == around[1]


def test_bounds_replace_those_of_the_law_and_are_named_where_they_hold(table) -> None:
    found = optimum(table, Restraints(bounds={"beta": (0.5, 0.9)}))
    assert coefficient(found, "beta") == pytest.approx(0.5)
    assert found.certificate.at_bound == ("beta",)


def test_a_prior_pulls_as_one_more_measurement_does() -> None:
    # With known errors and squares everything is a normal likelihood, so the posterior is known exactly.
    law, N = get_law("loss-size"), np.geomspace(1e4, 1e6, 30)
    target = 35 * N**-0.4 * np.exp(0.02 * np.random.default_rng(0).standard_normal(30))
    errors = np.full(30, 0.02)
    restraints = Restraints(fixed={"E": 0.0}, priors={"alpha": Prior(mean=0.5, sd=0.01)})
    objective = Objective(
        law=law,
        x={"N": N},
        criterion=Criterion(penalty="squared"),
        restraints=restraints,
        errors=errors,
    )
    found = find_optimum(objective, target)
    assert found.settled.noise == 1.0

    # The same by hand, by Newton's method on the normal equations; the prior is one of log alpha.
    log_A, log_alpha = np.log(35.0), np.log(0.4)
    for _ in range(50):
        alpha = np.exp(log_alpha)
        left = (np.log(target) - log_A + alpha * np.log(N)) / 0.02
        slopes = np.column_stack([np.ones(30), -alpha * np.log(N)]) / 0.02
        system = np.vstack([slopes, [0.0, 1 / 0.01]])
        step = np.linalg.lstsq(system, np.append(left, (np.log(0.5) - log_alpha) / 0.01), rcond=None)[0]
        log_A, log_alpha = log_A + step[0], log_alpha + step[1]
    assert found.theta[2] == pytest.approx(np.exp(log_alpha), rel=1e-6)
    assert found.theta[1] == pytest.approx(np.exp(log_A), rel=1e-5)


def test_the_noise_turns_a_prior_into_the_unit_of_a_huber_penalty(table) -> None:
    prior = Restraints(priors={"alpha": Prior(mean=0.6, sd=0.02)})
    free, held = optimum(table, Restraints()), optimum(table, prior)
    assert 0 < held.settled.noise < 1e-3
    assert coefficient(free, "alpha") < coefficient(held, "alpha") < 0.6
    # A wide prior says nothing, a narrow one everything.
    wide = optimum(table, Restraints(priors={"alpha": Prior(mean=0.6, sd=50.0)}))
    narrow = optimum(table, Restraints(priors={"alpha": Prior(mean=0.6, sd=1e-5)}))
    np.testing.assert_allclose(wide.theta, free.theta, rtol=1e-3)
    assert coefficient(narrow, "alpha") == pytest.approx(0.6, rel=1e-4)


def test_limits_of_a_problem_fix_and_bound_its_own_coordinates(table) -> None:
    x, loss = table
    objective = Objective(law=CHINCHILLA, x=x)
    y, w = objective.transform(loss)[None], np.ones((1, len(loss)))
    start = objective.fitted(CHINCHILLA.starts(loss, **x))[:3]
    low, high = (np.tile(limit, (3, 1)) for limit in objective.bounds())
    for row, alpha in enumerate((0.3, 0.4, 0.5)):
        low[row, 3] = high[row, 3] = np.log(alpha)
    solution = minimise(objective, start, y, w, low=low, high=high)
    np.testing.assert_allclose(np.exp(solution.phi[:, 3]), [0.3, 0.4, 0.5])
    for row, alpha in enumerate((0.3, 0.4, 0.5)):
        alone = optimum(table, Restraints(fixed={"alpha": alpha}))
        assert solution.objective[row] == pytest.approx(alone.objective, rel=1e-6)


def test_coordinates_go_there_and_back_with_ties_and_numbers() -> None:
    coordinates = Coordinates.of(CHINCHILLA, Restraints(tied=(("alpha", "beta"),)))
    theta = np.array([[1.5, 400.0, 900.0, 0.3, 0.3], [0.2, 1e9, 1e-9, 2.0, 2.0]])
    u = coordinates.reduced(coordinates.fitted(theta))
    assert u.shape == (2, 4)
    np.testing.assert_allclose(coordinates.theta(u), theta, rtol=1e-13)
    np.testing.assert_allclose(coordinates.natural(coordinates.expanded(u)), theta, rtol=1e-13)


@pytest.mark.parametrize(
    ("restraints", "message"),
    [
        (Restraints(fixed={"alhpa": 0.3}), "no coefficient 'alhpa'"),
        (Restraints(bounds={"gamma": (0, 1)}), "no coefficient 'gamma'"),
        (Restraints(tied=(("alpha", "bata"),)), "no coefficient 'bata'"),
        (Restraints(priors={"e": Prior(mean=1, sd=1)}), "no coefficient 'e'"),
        (Restraints(fixed={"A": -1.0}), "A cannot be fixed at -1"),
        (Restraints(bounds={"alpha": (0.5, 0.2)}), "the bounds of alpha leave nothing"),
        (Restraints(bounds={"alpha": (float("nan"), 0.2)}), "the bounds of alpha leave nothing"),
        (Restraints(fixed={"alpha": 0.2, "beta": 0.3}, tied=(("alpha", "beta"),)), "no value in common"),
        (Restraints(priors={"alpha": Prior(mean=-0.3, sd=0.1)}), "the prior of alpha"),
        (Restraints(priors={"alpha": Prior(mean=0.3, sd=0.0)}), "the prior of alpha"),
    ],
)
def test_restraints_that_make_no_sense_are_refused(restraints, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Coordinates.of(CHINCHILLA, restraints)
    assert raised.value.hint


def test_a_misspelt_coefficient_is_answered_by_the_nearest() -> None:
    with pytest.raises(InputError) as raised:
        Coordinates.of(CHINCHILLA, Restraints(fixed={"alhpa": 0.3}))
    assert "alpha" in raised.value.hint


def test_a_scale_cannot_be_tied_to_what_may_be_negative() -> None:
    with pytest.raises(InputError, match="cannot be tied"):
        Coordinates.of(get_law("loss-size"), Restraints(tied=(("E", "A"),)))
