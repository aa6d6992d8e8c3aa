from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law, optimal_size
from scalescope.laws.algebra import (
    allocation_constants,
    compute_frontier,
    compute_penalty,
    equivalent_compute,
    optimal_loss,
    tokens_per_param,
)
from scalescope.laws.optimum import search_size

THETA = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])
COMPUTE = np.geomspace(1e17, 1e26, 10)


def loss(params, tokens):
    return get_law("chinchilla").value(THETA, N=np.asarray(params), D=np.asarray(tokens))


def test_the_constants_give_the_size_that_a_search_finds():
    G, a, b = allocation_constants(THETA)
    found = search_size(get_law("chinchilla"), THETA, COMPUTE)
    np.testing.assert_allclose(G * (COMPUTE / 6) ** a, found, rtol=1e-6)
    assert a + b == pytest.approx(1)


def test_size_and_tokens_of_the_constants_spend_the_compute():
    G, a, b = allocation_constants(THETA)
    np.testing.assert_allclose(6 * (G * (COMPUTE / 6) ** a) * ((COMPUTE / 6) ** b / G), COMPUTE, rtol=1e-12)


def test_the_frontier_is_the_loss_of_the_best_size():
    N = optimal_size("chinchilla", THETA, COMPUTE)
    np.testing.assert_allclose(optimal_loss(THETA, COMPUTE), loss(N, COMPUTE / (6 * N)), rtol=1e-12)


def test_the_frontier_has_the_coefficients_of_the_law_of_compute():
    theta = np.array(compute_frontier(THETA))
    np.testing.assert_allclose(
        get_law("loss-compute").value(theta, C=COMPUTE), optimal_loss(THETA, COMPUTE), rtol=1e-12
    )


def test_a_run_at_the_optimum_pays_no_penalty():
    N = optimal_size("chinchilla", THETA, COMPUTE)
    np.testing.assert_allclose(compute_penalty(THETA, N, COMPUTE / (6 * N)), 1.0, rtol=1e-9)


@pytest.mark.parametrize("factor", [1 / 30, 1 / 3, 3, 30])
def test_a_run_off_the_optimum_pays_and_its_equivalent_reaches_the_same_loss(factor):
    N = factor * optimal_size("chinchilla", THETA, COMPUTE)
    D = COMPUTE / (6 * N)
    assert (compute_penalty(THETA, N, D) > 1.05).all()
    np.testing.assert_allclose(optimal_loss(THETA, equivalent_compute(THETA, N, D)), loss(N, D), rtol=1e-12)


def test_tokens_per_parameter_is_the_ratio_at_the_optimum():
    N = optimal_size("chinchilla", THETA, COMPUTE)
    np.testing.assert_allclose(tokens_per_param(THETA, COMPUTE), COMPUTE / (6 * N**2), rtol=1e-10)


def test_all_resamples_and_budgets_are_solved_at_once():
    resamples = THETA * np.random.default_rng(0).normal(1, 0.01, (40, 5))
    together = optimal_loss(resamples.T[:, :, None], COMPUTE)
    assert together.shape == (40, 10)
    np.testing.assert_allclose(together[7], optimal_loss(resamples[7], COMPUTE))
