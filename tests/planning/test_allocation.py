from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.planning import FACTORS, Plan, forecast, plan

# Other work on the machine must not fail a test.
unhurried = settings(deadline=None, max_examples=25)

BUDGETS = (1e13, 1e14, 1e15)


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


class TestAnyLaw:
    @unhurried
    @given(
        alpha=st.floats(0.1, 1),
        beta=st.floats(0.1, 1),
        floor=st.floats(0.1, 3),
        budget=st.floats(1e11, 1e20),
        spread=st.floats(0, 0.05),
    )
    def test_being_off_never_pays_and_intervals_contain_values(
        self, make_fit, alpha, beta, floor, budget, spread
    ):
        theta = (floor, 100.0, 100.0, alpha, beta)
        (one,) = plan(make_fit(theta=theta, spread=spread, n_resamples=20), [budget]).allocations
        costs = [*one.penalties, *one.advice]
        assert all(cost.loss_increase.low >= 0 for cost in costs)
        assert all(cost.compute_waste.low >= 1 for cost in costs)
        assert one.gain_of_tenfold.low > 0
        estimates = [one.params, one.tokens, one.tokens_per_param, one.loss, one.gain_of_tenfold]
        estimates += [e for cost in costs for e in (cost.loss_increase, cost.compute_waste)]
        assert all(e.low <= e.value <= e.high for e in estimates)

    @pytest.mark.parametrize("law", ["chinchilla", "isoflop"])
    def test_size_and_tokens_spend_the_budget(self, request, law):
        for one in plan(request.getfixturevalue(law), BUDGETS).allocations:
            assert 6 * one.params.value * one.tokens.value == pytest.approx(one.compute)
            assert one.tokens_per_param.value == pytest.approx(one.tokens.value / one.params.value)

    @pytest.mark.parametrize("law", ["chinchilla", "isoflop"])
    def test_farther_off_costs_more(self, request, law):
        for one in plan(request.getfixturevalue(law), BUDGETS).allocations:
            quarter, half, double, fourfold = (cost.compute_waste.value for cost in one.penalties)
            assert quarter > half > 1
            assert fourfold > double > 1
            assert [cost.factor for cost in one.penalties] == list(FACTORS)

    @pytest.mark.parametrize("law", ["chinchilla", "isoflop"])
    def test_returns_diminish(self, request, law):
        gains = [one.gain_of_tenfold.value for one in plan(request.getfixturevalue(law), BUDGETS).allocations]
        assert gains == sorted(gains, reverse=True)


def test_the_exponents_of_chinchilla_are_those_of_the_formula(chinchilla):
    result = plan(chinchilla, BUDGETS)
    alpha, beta = chinchilla.theta[3:]
    assert result.size_exponent.value == pytest.approx(beta / (alpha + beta), rel=1e-9)
    assert result.data_exponent.value == pytest.approx(alpha / (alpha + beta), rel=1e-9)
    shares = chinchilla.resamples[:, 4] / chinchilla.resamples[:, 3:].sum(axis=1)
    low, high = np.quantile(shares, [0.05, 0.95])
    assert result.size_exponent.low == pytest.approx(low)
    assert result.size_exponent.high == pytest.approx(high)


def test_the_exponent_of_isoflop_is_its_coefficient(isoflop):
    exponent = plan(isoflop, BUDGETS).size_exponent
    assert exponent.value == pytest.approx(isoflop.coefficients["a"].value)
    assert exponent.low == pytest.approx(isoflop.coefficients["a"].low)


def test_waste_is_what_the_power_law_along_the_optimum_says(isoflop):
    E, K, gamma, _, _, kappa = isoflop.theta
    for one in plan(isoflop, BUDGETS).allocations:
        loss = E + K * one.compute**-gamma + kappa * np.log(2) ** 2
        needed = ((loss - E) / K) ** (-1 / gamma)
        assert one.penalties[2].loss_increase.value == pytest.approx(kappa * np.log(2) ** 2)
        assert one.penalties[2].compute_waste.value == pytest.approx(one.compute / needed, rel=1e-8)


def test_the_loss_is_the_forecast_of_the_planned_run(chinchilla):
    (one,) = plan(chinchilla, [1e14]).allocations
    again = forecast(chinchilla, params=one.params.value, compute=1e14)
    assert one.loss.value == pytest.approx(again.loss.value)
    assert one.loss.low == pytest.approx(again.loss.low)
    assert one.loss.high == pytest.approx(again.loss.high)


def test_advice_of_three_published_rules_spends_the_same_compute(chinchilla):
    (one,) = plan(chinchilla, [1e14]).allocations
    assert len(one.advice) == 3
    for advice in one.advice:
        assert 6 * advice.params * advice.tokens == pytest.approx(1e14)
        assert advice.source.startswith("https://")


def test_a_rule_that_advises_the_optimum_costs_nothing(make_fit):
    hoffmann = (1.693, 406.35, 410.71, 0.33917084, 0.2849083)
    fit = make_fit(theta=hoffmann, spread=0.0)
    cost = plan(fit, [1e22]).allocations[0].advice[2]
    assert cost.rule == "Hoffmann 2022, approach 3"
    assert cost.loss_increase.value < 1e-6
    assert cost.compute_waste.value < 1.0001


def test_the_other_method_stands_beside(chinchilla, isoflop):
    result = plan(isoflop, BUDGETS, alternative=chinchilla)
    assert result.alternative_law == "chinchilla"
    assert result.alternative == plan(chinchilla, BUDGETS).allocations
    assert len(result.frame()) == 6


def test_resamples_that_give_no_number_leave_the_rest_standing(chinchilla):
    spoiled = chinchilla.resamples.copy()
    spoiled[:3] = np.nan
    (one,) = plan(replace(chinchilla, resamples=spoiled), [1e14]).allocations
    assert one.params.low < one.params.value < one.params.high
    assert one.loss.low < one.loss.value < one.loss.high


class TestFindings:
    @pytest.mark.parametrize(("times", "code"), [(20, "PLN001"), (200, "PLN002"), (2000, "PLN003")])
    def test_the_farthest_budget_says_how_far(self, chinchilla, times, code):
        result = plan(chinchilla, [1e12, 1.35e12 * times])
        assert code in codes(result)
        assert result.allocations[0].reach == 1
        assert result.allocations[1].reach == pytest.approx(times)

    def test_a_budget_inside_the_range_is_not_doubted(self, chinchilla):
        found = codes(plan(chinchilla, [1e12]))
        assert not {"PLN001", "PLN002", "PLN003", "PLN005", "PLN006", "PLN008"} & set(found)

    def test_methods_whose_exponents_do_not_overlap_disagree(self, chinchilla, isoflop, make_fit):
        assert "PLN004" in codes(plan(isoflop, BUDGETS, alternative=chinchilla))
        same = make_fit(theta=(0.8, 120.0, 60.0, 0.47, 0.53))
        assert "PLN004" not in codes(plan(isoflop, BUDGETS, alternative=same))

    def test_a_size_outside_the_sampled_ones_is_told(self, chinchilla):
        assert "PLN005" in codes(plan(chinchilla, [1e15]))

    def test_a_size_known_only_to_a_factor_of_four_is_told(self, make_fit):
        assert "PLN006" in codes(plan(make_fit(spread=0.1), [1e15]))
        assert "PLN006" not in codes(plan(make_fit(spread=0.005), [1e15]))

    def test_rules_far_outside_their_own_models_are_told_once(self, chinchilla):
        found = codes(plan(chinchilla, BUDGETS))
        assert found.count("PLN007") == 1
        assert "PLN007" not in codes(plan(chinchilla, [1e21]))

    def test_a_parabola_is_not_trusted_far_off_its_minimum(self, isoflop, chinchilla):
        assert "PLN010" in codes(plan(isoflop, [1e13]))
        assert "PLN010" not in codes(plan(chinchilla, [1e13]))

    def test_a_fit_without_resamples_plans_and_says_so(self, make_fit):
        result = plan(make_fit(n_resamples=0), [1e14], alternative=make_fit(n_resamples=0))
        assert "PLN009" in codes(result)
        assert "PLN004" not in codes(result)
        assert np.isnan(result.allocations[0].params.low)


def test_no_budget_is_refused(chinchilla):
    with pytest.raises(InputError, match="at least one compute budget"):
        plan(chinchilla, [])


def test_a_budget_that_is_not_positive_is_refused(chinchilla):
    with pytest.raises(InputError, match="positive"):
        plan(chinchilla, [1e20, -1.0])


def test_a_law_without_a_best_size_is_refused(make_fit):
    with pytest.raises(InputError, match="loss-size"):
        plan(make_fit("loss-size", (0.8, 120.0, 0.5)), [1e20])


def test_it_prints_saves_and_loads(chinchilla, isoflop):
    result = plan(isoflop, BUDGETS, alternative=chinchilla)
    assert Plan.from_dict(result.to_dict()) == result
    text = result.summary()
    assert "Plan by isoflop, 90% intervals (N counts params_matmul)" in text
    assert "1e14 FLOP, 74x beyond the fitted runs" in text
    assert "Kaplan 2020 would take" in text
    row = result.frame()[1]
    assert row["params"] == result.allocations[1].params.value
    assert row["compute_waste_at_0.25x"] == result.allocations[1].penalties[0].compute_waste.value
    assert row["params_by_kaplan_2020"] == result.allocations[1].advice[0].params
