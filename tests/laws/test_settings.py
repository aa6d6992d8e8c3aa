"""Batches, rates and averaging times, and the arithmetic around them."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law
from scalescope.laws.adamw_timescale import weight_decay
from scalescope.laws.critical_batch import minimum_compute, minimum_steps

BATCHES = np.geomspace(1e4, 1e8, 9)


def published(law, name):
    return np.array(list(get_law(law).published[name].coefficients.values()))


def test_steps_and_tokens_to_one_loss_lie_on_the_hyperbola_of_mccandlish():
    critical, least_steps = 1e6, 5e3
    # Steps at each batch that all come down to the same least steps.
    steps = least_steps * (1 + critical / BATCHES)
    np.testing.assert_allclose(minimum_steps(steps, BATCHES, critical), least_steps)
    tokens, least_tokens = steps * BATCHES, least_steps * critical
    np.testing.assert_allclose((steps / least_steps - 1) * (tokens / least_tokens - 1), 1.0, rtol=1e-9)


def test_the_least_compute_is_that_of_the_least_tokens():
    critical, steps, params = 1e6, np.full(9, 2e4), 1e8
    compute = 6 * params * steps * BATCHES
    least_tokens = minimum_steps(steps, BATCHES, critical) * critical
    np.testing.assert_allclose(minimum_compute(compute, BATCHES, critical), 6 * params * least_tokens)


def test_a_run_at_the_critical_batch_takes_twice_the_least_of_both():
    assert minimum_steps(np.array(8e3), np.array(1e6), np.array(1e6)) == 4e3
    assert minimum_compute(np.array(8e20), np.array(1e6), np.array(1e6)) == 4e20


def test_the_critical_batch_of_kaplan_is_its_constant_at_one_nat_and_doubles_every_13_percent():
    # Section 5.1 of the paper: "doubles for every 13% decrease in loss".
    theta = published("critical-batch", "kaplan2020")
    batch = get_law("critical-batch").value(theta, L=np.array([1.0, 3.0, 3.0 * 0.87]))
    assert batch[0] == pytest.approx(2e8)
    assert batch[2] / batch[1] == pytest.approx(2, rel=0.05)


def test_the_decay_of_a_timescale_gives_it_back():
    tau, batch, rate, tokens = 0.1, 1e6, 1e-3, 2e10
    decay = weight_decay(*(np.array(one) for one in (tau, batch, rate, tokens)))
    assert batch / (rate * decay * tokens) == pytest.approx(tau)


def test_the_timescale_depends_on_tokens_per_parameter_alone():
    law, theta = get_law("adamw-timescale"), published("adamw-timescale", "bergsma2025")
    small = law.value(theta, N=np.array(1e8), D=np.array(2e9))
    assert small == pytest.approx(law.value(theta, N=np.array(1e9), D=np.array(2e10)))
    assert law.value(theta, N=np.array(1e8), D=np.array(1e8)) == pytest.approx(1.084)


def test_the_rates_of_two_sources_agree_within_a_factor_of_four_at_a_common_model():
    # A model in reach of both; a slip in a unit would be off by orders of magnitude.
    N, D = np.array(1e9), np.array(2e10)
    step = get_law("learning-rate").value(published("learning-rate", "steplaw2025"), N=N, D=D)
    deepseek = get_law("learning-rate-compute").value(
        published("learning-rate-compute", "deepseek2024"), C=6 * N * D
    )
    assert 1 / 4 < step / deepseek < 4


def test_the_batches_of_two_sources_agree_within_a_factor_of_four_at_a_common_model():
    N, D = np.array(1e9), np.array(2e10)
    step = get_law("batch-size").value(published("batch-size", "steplaw2025"), N=N, D=D)
    deepseek = get_law("batch-compute").value(published("batch-compute", "deepseek2024"), C=6 * N * D)
    porian = get_law("batch-size").value(published("batch-size", "porian2024"), N=N, D=D)
    assert 1 / 4 < step / deepseek < 4
    assert 1 / 4 < porian / deepseek < 4


@pytest.mark.parametrize("law", ["learning-rate", "batch-size", "size-allocation", "batch-compute"])
def test_starts_of_a_product_of_powers_hold_the_answer_for_clean_data(law):
    form = get_law(law)
    x = form.design()
    starts = form.starts(form.value(form.examples, **x), **x)
    np.testing.assert_allclose(starts[0], form.examples, rtol=1e-8, atol=1e-10)
