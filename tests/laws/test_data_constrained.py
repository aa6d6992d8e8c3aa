"""Repeated data and excess parameters."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law, optimal_size
from scalescope.laws.data_constrained import optimal_size_for, repeated_worth
from scalescope.points import Array

LAW = get_law("data-constrained")
THETA = np.array(list(LAW.published["muennighoff2023"].coefficients.values()))
R_D = THETA[LAW.place("R_D")[0]]


def at(**coefficients: float) -> Array:
    theta = THETA.copy()
    for name, value in coefficients.items():
        theta[LAW.place(name)[0]] = value
    return theta


def test_fresh_data_and_a_size_they_deserve_are_the_base_law() -> None:
    N, D = np.array([1e8, 3e8]), np.array([1e10, 1e11])
    base = get_law("chinchilla").value(THETA[:5], N=N, D=D)
    np.testing.assert_allclose(LAW.value(THETA, N=N, D=D, U=D), base, rtol=1e-14)


def test_without_decay_repeated_tokens_and_excess_parameters_are_fresh() -> None:
    N, D, U = np.array([1e9]), np.array([1e11]), np.array([1e9])
    base = get_law("chinchilla").value(THETA[:5], N=N, D=D)
    np.testing.assert_allclose(LAW.value(at(R_D=1e7, R_N=1e7), N=N, D=D, U=U), base, rtol=1e-6)


def test_four_epochs_are_nearly_fresh_and_forty_have_nearly_used_the_data_up() -> None:
    # The two rules of the abstract of the paper.
    four, forty, more = (float(repeated_worth(R_D, np.array(n), np.array(1.0))) for n in (4.0, 40.0, 41.0))
    assert four > 0.9 * 4
    assert more - forty < 0.1


def test_the_size_that_fresh_tokens_deserve_is_the_compute_optimal_one() -> None:
    _, A, B, alpha, beta = theta = get_law("chinchilla").examples
    U = np.array([1e9, 1e11])
    best = optimal_size_for(A, B, alpha, beta, U)
    np.testing.assert_allclose(optimal_size("chinchilla", theta, 6 * best * U), best, rtol=1e-10)


def test_more_distinct_tokens_than_seen_ones_change_nothing() -> None:
    N, D = np.array([1e9]), np.array([1e10])
    assert LAW.value(THETA, N=N, D=D, U=10 * D) == LAW.value(THETA, N=N, D=D, U=D)


@pytest.mark.parametrize("name", ["A", "B", "alpha", "beta"])
@pytest.mark.parametrize("beyond", [False, True], ids=["within", "beyond"])
def test_the_gradient_holds_on_both_sides_of_the_best_size(name: str, beyond: bool) -> None:
    U, place = np.array([1e9]), LAW.place(name)[0]
    N = optimal_size_for(*THETA[1:5], U) * (3.0 if beyond else 0.5)
    step = THETA.astype(complex)
    step[place] += 1e-30j
    x = {"N": N, "D": 5 * U, "U": U}
    # Complex numbers are outside the signature but inside the formula, and give exact derivatives.
    exact = np.asarray(LAW.value(step, **x)).imag / 1e-30  # type: ignore[arg-type]
    np.testing.assert_allclose(LAW.gradient(THETA, **x)[place], exact, rtol=1e-10)


def test_excess_parameters_are_worth_more_where_the_base_law_wants_a_larger_size() -> None:
    # Through N_opt alone: at nine times the best size, more B moves the best size down.
    U = np.array([1e9])
    N = 9 * optimal_size_for(*THETA[1:5], U)
    with_less, with_more = (
        LAW.value(at(B=scale * THETA[2]), N=N, D=U, U=U) - scale * THETA[2] * U ** -THETA[4]
        for scale in (0.9, 1.1)
    )
    assert with_more > with_less


def test_coefficients_far_from_the_example_come_back() -> None:
    truth = np.array([1.2, 900.0, 300.0, 0.45, 0.28, 4.0, 12.0])
    x = LAW.design()
    optimum = find_optimum(Objective(law=LAW, x=x), LAW.value(truth, **x))
    np.testing.assert_allclose(optimum.theta, truth, rtol=1e-3)
