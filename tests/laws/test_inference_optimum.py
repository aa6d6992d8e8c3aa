from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.laws import get_law, optimal_size
from scalescope.laws.algebra import optimal_loss
from scalescope.laws.inference_optimum import inference_aware_size, inference_aware_size_for_compute

THETA = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])


def loss(params, tokens):
    return get_law("chinchilla").value(THETA, N=np.asarray(params), D=np.asarray(tokens))


def imbalance(params, tokens, served):
    """Left over right side of the first-order condition of Sardana et al."""
    _, A, B, alpha, beta = THETA
    ratio = alpha * A * params**-alpha / (beta * B * tokens**-beta)
    return ratio / (1 + served / (3 * tokens))


@settings(max_examples=60, deadline=None)
@given(above=st.floats(0.02, 1.5), log_served=st.floats(6, 16))
def test_the_cheapest_way_to_a_loss_meets_the_first_order_condition(above, log_served):
    target, served = THETA[0] + above, 10**log_served
    N, D = inference_aware_size(THETA, target, served)
    assert loss(N, D) == pytest.approx(target, rel=1e-12)
    assert imbalance(N, D, served) == pytest.approx(1, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(log_compute=st.floats(17, 27), log_served=st.floats(6, 16))
def test_the_best_loss_of_a_budget_meets_the_same_condition_and_spends_it(log_compute, log_served):
    compute, served = 10**log_compute, 10**log_served
    N, D = inference_aware_size_for_compute(THETA, compute, served)
    assert 6 * N * D + 2 * N * served == pytest.approx(compute, rel=1e-9)
    assert imbalance(N, D, served) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("share", [0.7, 0.95, 1.05, 1.4])
def test_no_other_size_reaches_the_loss_for_less(share):
    target, served = 2.2, 2e12
    N, D = inference_aware_size(THETA, target, served)
    E, A, B, alpha, beta = THETA
    other = share * N
    tokens = (B / (target - E - A * other**-alpha)) ** (1 / beta)
    assert 6 * other * tokens + 2 * other * served > 6 * N * D + 2 * N * served


def test_without_demand_it_is_the_compute_optimum():
    compute = np.array([1e20, 1e24])
    best = optimal_size("chinchilla", THETA, compute)
    N, D = inference_aware_size_for_compute(THETA, compute, 0.0)
    np.testing.assert_allclose(N, best, rtol=1e-9)
    same, tokens = inference_aware_size(THETA, optimal_loss(THETA, compute), 0.0)
    np.testing.assert_allclose(same, best, rtol=1e-9)
    np.testing.assert_allclose(tokens, D, rtol=1e-9)


def test_the_more_is_served_the_smaller_and_longer_trained_the_model():
    N, D = inference_aware_size(THETA, 2.1, np.array([0.0, 1e11, 1e12, 1e13, 1e14]))
    assert (np.diff(N) < 0).all()
    assert (np.diff(D) > 0).all()


def test_a_loss_below_the_floor_has_no_answer_but_spares_the_rest_of_the_batch():
    N, _ = inference_aware_size(THETA, np.array([1.5, 2.1]), 1e12)
    assert np.isnan(N[0])
    assert np.isfinite(N[1])


def test_resamples_and_demands_are_solved_at_once():
    resamples = THETA * np.random.default_rng(0).normal(1, 0.01, (30, 5))
    served = np.array([1e10, 1e12, 1e14])
    N, D = inference_aware_size(resamples.T[:, :, None], 2.2, served)
    assert N.shape == D.shape == (30, 3)
    assert N[4, 1] == pytest.approx(inference_aware_size(resamples[4], 2.2, 1e12)[0], rel=1e-12)
