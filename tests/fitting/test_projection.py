from __future__ import annotations

import numpy as np
import pytest

from scalescope.fitting import Criterion, Restraints
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.projection import (
    collapse,
    conditioning,
    linear_places,
    minimise_projected,
    projects_exactly,
)
from scalescope.fitting.solver import minimise
from scalescope.laws import get_law

CHINCHILLA = get_law("chinchilla")
SQUARES = Criterion(penalty="squared", scale="raw")


@pytest.fixture
def table(make_grid):
    runs = make_grid("chinchilla", noise=0.01, n_budgets=5)
    return {"N": runs.size, "D": runs.tokens}, runs.loss


def squared(table, **options) -> Objective:
    return Objective(law=CHINCHILLA, x=table[0], criterion=SQUARES, **options)


def test_a_grid_of_starts_is_only_as_large_as_its_non_linear_part(table) -> None:
    x, loss = table
    objective = Objective(law=CHINCHILLA, x=x)
    starts = objective.fitted(CHINCHILLA.starts(loss, **x))
    distinct = collapse(objective, starts, objective.transform(loss), np.ones(len(loss)))
    assert len(starts) == 36
    assert len(distinct) == 9
    assert len(np.unique(distinct[:, 3:].round(9), axis=0)) == 9


def test_the_linear_coefficients_of_a_start_are_those_of_non_negative_least_squares(table) -> None:
    from scipy.optimize import nnls

    x, loss = table
    objective = squared(table)
    starts = objective.fitted(np.array([[1.0, 1.0, 1.0, 0.3, 0.5], [1.0, 1.0, 1.0, 0.05, 0.6]]))
    distinct = collapse(objective, starts, loss, np.ones(len(loss)))
    for phi in distinct:
        theta = objective.natural(phi[None])[0]
        basis = np.column_stack([np.ones(len(loss)), x["N"] ** -theta[3], x["D"] ** -theta[4]])
        size = np.sqrt((basis**2).mean(axis=0))
        exact = nnls(basis / size, loss)[0] / size
        held = exact == 0
        np.testing.assert_allclose(theta[:3][~held], exact[~held], rtol=1e-6)
        # One that would be zero starts small, so that it can come back.
        assert (theta[:3][held] > 0).all()


def test_the_projected_search_ends_where_a_search_in_all_coefficients_does(table) -> None:
    x, loss = table
    objective = squared(table)
    assert projects_exactly(objective)
    starts = objective.fitted(CHINCHILLA.starts(loss, **x))
    one = np.ones((1, len(loss)))
    projected = minimise_projected(objective, starts[::5], loss[None], one)
    full = minimise(objective, starts, loss[None], one)
    assert projected.objective.min() <= full.objective.min() * (1 + 1e-10)
    # Every single start arrives: two coordinates are left to search.
    np.testing.assert_allclose(projected.objective, projected.objective.min(), rtol=1e-8)


def test_the_projected_search_needs_fewer_evaluations(table) -> None:
    x, loss = table
    objective = squared(table)
    starts = objective.fitted(CHINCHILLA.starts(loss, **x))
    one = np.ones((1, len(loss)))
    distinct = collapse(objective, starts, loss, one[0])
    alone = minimise_projected(objective, distinct, loss[None], one).evaluations / len(distinct)
    together = minimise(objective, starts, loss[None], one).evaluations / len(starts)
    assert alone < together


def test_the_least_squares_fit_is_that_of_scipy(table) -> None:
    from scipy.optimize import curve_fit

    x, loss = table
    found = find_optimum(squared(table), loss)

    def formula(points, E, log_A, log_B, alpha, beta):
        return E + np.exp(log_A - alpha * np.log(points[0])) + np.exp(log_B - beta * np.log(points[1]))

    start = (found.theta[0], np.log(found.theta[1]), np.log(found.theta[2]), *found.theta[3:])
    best = curve_fit(formula, (x["N"], x["D"]), loss, p0=np.array(start) * 1.02, xtol=1e-14, ftol=1e-14)[0]
    squares = float(((loss - formula((x["N"], x["D"]), *best)) ** 2).sum())
    assert 2 * found.objective <= squares * (1 + 1e-8)


def test_held_coefficients_are_not_solved_for(table) -> None:
    held = squared(table, restraints=Restraints(fixed={"A": 30.0}))
    assert linear_places(held) == [0, 2]
    tied = squared(table, restraints=Restraints(tied=(("A", "B"),)))
    assert linear_places(tied) == [0]
    assert not projects_exactly(tied)
    assert not projects_exactly(Objective(law=CHINCHILLA, x=table[0]))
    assert find_optimum(held, table[1]).theta[1] == pytest.approx(30.0)


def test_two_coefficients_are_far_better_conditioned_than_five(table) -> None:
    x, loss = table
    objective = squared(table)
    found = find_optimum(objective, loss)
    one = conditioning(objective, found.warm[0])
    assert one.full > 1e7
    assert one.projected < 100
    jacobian = CHINCHILLA.gradient(found.theta, **x)
    eigenvalues = np.linalg.eigvalsh(jacobian @ jacobian.T)
    assert one.full == pytest.approx(eigenvalues[-1] / eigenvalues[0], rel=1e-2)


def test_starts_that_are_not_finite_are_left_out(table) -> None:
    x, loss = table
    objective = squared(table)
    starts = objective.fitted(CHINCHILLA.starts(loss, **x))
    starts[:4] = np.nan
    assert np.isfinite(collapse(objective, starts, loss, np.ones(len(loss)))).all()
