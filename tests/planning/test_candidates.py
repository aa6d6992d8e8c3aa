from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.planning import NextRun, next_run
from scalescope.planning.candidates import explained_share


@pytest.fixture(scope="module")
def fit(make_fit):
    return make_fit(n_resamples=300)


def test_candidates_narrow_the_decision_and_cost_little(fit, runs):
    found = next_run(fit, runs, target=1e14)
    assert 1 <= len(found) <= 5
    for one in found:
        assert 0 < one.interval_after < one.interval_now
        assert one.compute <= runs.compute.sum() / 10
        assert 6 * one.params * one.tokens == pytest.approx(one.compute)
        assert one.gain_per_flop == pytest.approx((one.interval_now - one.interval_after) / one.compute)


def test_the_largest_narrowing_per_flop_comes_first(fit, runs):
    gains = [one.gain_per_flop for one in next_run(fit, runs, target=1e14)]
    assert gains == sorted(gains, reverse=True)


def test_what_hardly_narrows_is_not_offered_however_cheap(fit, runs):
    found = next_run(fit, runs, target=1e14, top=10_000)
    best = max(one.narrowing for one in found)
    assert min(one.narrowing for one in found) >= 0.25 * best * (1 - 1e-9)


def test_candidates_stay_near_the_runs(fit, runs):
    for one in next_run(fit, runs, target=1e14, max_compute=1e15, top=10_000):
        assert one.params * (1 + 1e-9) >= 4e3
        assert one.params <= 8e5 * (1 + 1e-9)
        assert one.compute * (1 + 1e-9) >= 5e10
        assert one.compute <= 2.7e12 * (1 + 1e-9)


def test_the_interval_now_is_that_of_the_plan(fit, runs):
    alpha, beta = fit.resamples[:, 3], fit.resamples[:, 4]
    _, A, B = fit.resamples[:, :3].T
    size = (np.log(alpha * A / (beta * B)) + beta * np.log(1e14 / 6)) / (alpha + beta)
    low, high = np.quantile(size, [0.05, 0.95])
    assert next_run(fit, runs, target=1e14)[0].interval_now == pytest.approx(high - low)


def test_less_noise_narrows_more(make_fit, runs):
    quiet, loud = (
        max(
            one.narrowing
            for one in next_run(make_fit(noise_sd=sd, n_resamples=300), runs, target=1e14, top=999)
        )
        for sd in (0.01, 0.1)
    )
    assert quiet > loud


class TestExplainedShare:
    def test_is_that_of_the_linear_gaussian_model(self):
        rng = np.random.default_rng(1)
        shared, own = rng.normal(size=(2, 20_000, 1))
        # Half of the variance of y is shared with the decision; noise as large as y halves it again.
        y = (shared + own) / np.sqrt(2)
        assert explained_share(shared, y, 0.0)[0] == pytest.approx(0.5, abs=0.02)
        assert explained_share(shared, y, 1.0)[0] == pytest.approx(0.25, abs=0.02)

    def test_chance_correlations_of_unrelated_candidates_average_to_little(self):
        rng = np.random.default_rng(2)
        share = explained_share(rng.normal(size=(100, 1)), rng.normal(size=(100, 2000)), 0.0)
        # Uncorrected the mean would be 1 / 99.
        assert share.mean() < 0.006
        assert np.median(share) == 0

    def test_a_candidate_that_the_resamples_agree_on_teaches_nothing(self):
        rng = np.random.default_rng(3)
        assert explained_share(rng.normal(size=(50, 1)), np.ones((50, 1)), 0.0)[0] == 0


def test_a_limit_below_the_cheapest_run_is_refused(fit, runs):
    with pytest.raises(InputError, match="costs at most") as caught:
        next_run(fit, runs, target=1e14, max_compute=1e9)
    assert "5e10 FLOP" in caught.value.hint


def test_too_few_resamples_are_refused(make_fit, runs):
    with pytest.raises(InputError, match="at least 20 resamples"):
        next_run(make_fit(n_resamples=5), runs, target=1e14)


def test_it_prints_saves_and_loads(fit, runs):
    one = next_run(fit, runs, target=1e14)[0]
    assert NextRun.from_dict(one.to_dict()) == one
    assert "would narrow the interval" in one.summary()
    assert one.frame()[0]["narrowing"] == pytest.approx(1 - one.interval_after / one.interval_now)
