from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.holdout import Holdout
from scalescope.planning import Forecast, forecast


def holdouts(law: str, *errors: float) -> list[Holdout]:
    return [
        Holdout(law=law, n_fitted=14, n_predicted=7, ratio=3.0, log_error=error, rms_error=abs(error) + 0.005)
        for error in errors
    ]


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


def test_tokens_and_compute_name_the_same_run(chinchilla):
    by_tokens = forecast(chinchilla, params=1e5, tokens=2e6)
    by_compute = forecast(chinchilla, params=1e5, compute=6 * 1e5 * 2e6)
    assert by_tokens.loss == by_compute.loss
    assert by_tokens.tokens == by_compute.tokens
    assert by_tokens.count == "params_matmul"


def test_the_value_is_the_laws_and_the_interval_contains_it(chinchilla):
    one = forecast(chinchilla, params=1e5, tokens=2e6)
    assert one.loss.value == pytest.approx(chinchilla.value(N=np.array([1e5]), D=np.array([2e6]))[0])
    assert one.loss.low < one.loss.value < one.loss.high


def test_a_higher_level_is_wider(chinchilla):
    narrow, wide = (forecast(chinchilla, params=1e5, tokens=2e6, level=level) for level in (0.5, 0.95))
    assert wide.loss.low < narrow.loss.low < narrow.loss.high < wide.loss.high
    assert wide.level == 0.95


def test_reach_is_told_for_size_tokens_and_compute(chinchilla):
    one = forecast(chinchilla, params=8e5, tokens=9e5)
    assert one.reach["N"] == pytest.approx(2)
    assert one.reach["D"] == 1
    assert one.reach["C"] == pytest.approx(6 * 8e5 * 9e5 / 1.35e12)


@pytest.mark.parametrize(("times", "code"), [(11, "PLN001"), (101, "PLN002"), (1001, "PLN003")])
def test_a_long_reach_is_a_finding_and_the_longest_says_so_alone(chinchilla, times, code):
    found = codes(forecast(chinchilla, params=1e4, tokens=9e6 * times))
    assert [one for one in found if one in {"PLN001", "PLN002", "PLN003"}] == [code]


def test_ten_times_the_largest_run_is_not_more_than_ten_times(chinchilla):
    found = codes(forecast(chinchilla, params=4e5, compute=10 * 1.35e12))
    assert "PLN001" not in found


def test_without_a_hold_out_a_forecast_beyond_the_range_says_whose_errors_it_takes(chinchilla):
    assert "PLN008" in codes(forecast(chinchilla, params=1e6, tokens=9e7))
    assert "PLN008" not in codes(forecast(chinchilla, params=1e5, tokens=2e6))
    past = holdouts("chinchilla", 0.01, -0.01)
    assert "PLN008" not in codes(forecast(chinchilla, params=1e6, tokens=9e7, past=past))


def test_hold_outs_that_all_lean_one_way_are_a_finding(chinchilla):
    lean = forecast(chinchilla, params=1e6, tokens=9e7, past=holdouts("chinchilla", 0.03, 0.05))
    assert "PLN011" in codes(lean)
    assert "pessimistic" in next(one.text for one in lean.findings if one.code == "PLN011")
    both = forecast(chinchilla, params=1e6, tokens=9e7, past=holdouts("chinchilla", 0.03, -0.05))
    assert "PLN011" not in codes(both)


def test_a_fit_without_resamples_says_that_its_interval_leaves_them_out(make_fit):
    one = forecast(make_fit(n_resamples=0), params=1e5, tokens=2e6)
    assert "PLN009" in codes(one)
    assert one.loss.low < one.loss.value < one.loss.high


@pytest.mark.parametrize(
    ("law", "theta"), [("loss-compute", (0.8, 165.0, 0.2)), ("loss-data", (0.8, 60.0, 0.35))]
)
def test_a_law_of_one_variable_forecasts_from_its_own(make_fit, law, theta):
    fit = make_fit(law, theta)
    one = forecast(fit, params=1e5, tokens=2e6)
    x = 6 * 1e5 * 2e6 if law == "loss-compute" else 2e6
    assert one.loss.value == pytest.approx(theta[0] + theta[1] * x ** -theta[2])


@pytest.mark.parametrize("given", [{}, {"tokens": 1e6, "compute": 1e12}])
def test_exactly_one_of_tokens_and_compute_is_needed(chinchilla, given):
    with pytest.raises(InputError, match="either tokens or compute") as caught:
        forecast(chinchilla, params=1e5, **given)
    assert "6 N D" in caught.value.hint


@pytest.mark.parametrize("given", [{"params": 0.0, "tokens": 1e6}, {"params": 1e5, "tokens": float("nan")}])
def test_numbers_that_are_not_positive_are_refused(chinchilla, given):
    with pytest.raises(InputError, match="positive number"):
        forecast(chinchilla, **given)


def test_it_prints_saves_and_loads(chinchilla):
    one = forecast(chinchilla, params=1e6, tokens=9e7)
    assert Forecast.from_dict(one.to_dict()) == one
    text = one.summary()
    assert "1M parameters on 90M tokens" in text
    assert "90% prediction interval" in text
    assert "10x in D" in text
    (row,) = one.frame()
    assert row["loss_low"] == one.loss.low
    assert row["reach_D"] == pytest.approx(10)


def test_a_measured_loss_is_compared_with_the_interval(chinchilla):
    data = forecast(chinchilla, params=1e5, tokens=2e6).to_dict()
    inside = Forecast.from_dict(data | {"measured": data["loss"]["value"]})
    outside = Forecast.from_dict(data | {"measured": 2 * data["loss"]["high"]})
    assert "inside the interval" in inside.summary()
    assert "outside the interval" in outside.summary()
