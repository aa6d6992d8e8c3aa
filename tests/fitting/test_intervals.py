from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.fitting.conformal import conformal_radius, fewest_errors, widen
from scalescope.fitting.intervals import end_errors, interval
from scalescope.points import Estimate


def covered(method: str, **options) -> float:
    """Share of 90% intervals of a mean of 25 that hold it."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        data = rng.exponential(1.0, 25)
        draws = data[rng.integers(0, 25, (400, 25))]
        found = interval(
            data.mean(),
            draws.mean(axis=1),
            0.9,
            method=method,
            jackknife=(data.sum() - data) / 24,
            error=data.std() / 5,
            errors=draws.std(axis=1) / 5,
        )
        held += found.low <= 1.0 <= found.high
    return held / 200


def test_studentised_intervals_of_a_skewed_mean_cover_more_than_basic_ones() -> None:
    basic, percentile, bca, studentised = (
        covered(method) for method in ("basic", "percentile", "bca", "studentised")
    )
    assert studentised == pytest.approx(0.9, abs=0.04)
    assert max(basic, percentile) < studentised
    assert bca >= percentile


def test_percentile_is_the_central_share() -> None:
    found = interval(0.5, np.linspace(0, 1, 101), 0.8)
    assert (found.low, found.high) == pytest.approx((0.1, 0.9))


def test_basic_turns_the_skew_around() -> None:
    found = interval(1.0, np.linspace(0.9, 1.5, 601), 0.9, method="basic")
    assert (found.low, found.high) == pytest.approx((2 - 1.47, 2 - 0.93))


def test_bca_without_bias_or_skew_is_percentile() -> None:
    draws = np.linspace(-1, 1, 401)
    found = interval(0.0, draws, 0.9, method="bca", jackknife=np.array([-1.0, 1.0]))
    assert (found.low, found.high) == pytest.approx((-0.9, 0.9), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40),
    method=st.sampled_from(["percentile", "basic", "bca"]),
)
def test_an_interval_always_holds_its_estimate(values: list[float], method) -> None:
    draws = np.array(values)
    found = interval(draws[0], draws, 0.8, method=method, jackknife=draws)
    assert found.low <= found.value <= found.high


def test_resamples_that_are_not_finite_are_left_out() -> None:
    draws = np.append(np.linspace(0, 1, 101), [np.nan, np.inf])
    for method in ("percentile", "basic"):
        assert np.isfinite(interval(0.5, draws, 0.9, method=method).high)


def test_a_method_without_what_it_needs_is_refused() -> None:
    draws = np.linspace(0, 1, 11)
    with pytest.raises(InputError, match="jackknife"):
        interval(0.5, draws, 0.9, method="bca")
    with pytest.raises(InputError, match="standard errors"):
        interval(0.5, draws, 0.9, method="studentised")
    with pytest.raises(InputError, match="percentil"):
        interval(0.5, draws, 0.9, method="percentil")  # type: ignore[arg-type]


def test_the_error_of_an_end_falls_with_the_root_of_the_resamples() -> None:
    rng = np.random.default_rng(0)
    few, many = (np.mean([end_errors(rng.standard_normal(n), 0.9) for _ in range(40)]) for n in (200, 3200))
    assert few / many == pytest.approx(4.0, rel=0.25)


def test_the_jackknife_after_bootstrap_sees_more_than_the_number_of_resamples() -> None:
    rng = np.random.default_rng(1)
    data = rng.standard_normal(30)
    weights = rng.multinomial(30, np.full(30, 1 / 30), size=4000).astype(float)
    draws = weights @ data / 30
    of_data, of_draws = end_errors(draws, 0.9, weights=weights), end_errors(draws, 0.9)
    # What moves an end is mostly the mean itself, whose standard error is known.
    assert np.mean(of_data) == pytest.approx(data.std() / np.sqrt(30), rel=0.4)
    assert np.mean(of_draws) < 0.2 * np.mean(of_data)


def test_the_error_of_an_end_is_unknown_for_one_resample() -> None:
    assert np.isnan(end_errors(np.array([1.0]), 0.9)).all()


def test_a_conformal_radius_covers_the_next_error() -> None:
    rng = np.random.default_rng(5)
    held = [abs(errors[-1]) <= conformal_radius(errors[:-1], 0.8) for errors in rng.standard_t(2, (4000, 10))]
    assert np.mean(held) == pytest.approx(0.8, abs=0.02)


def test_too_few_errors_give_no_finite_radius() -> None:
    assert fewest_errors(0.9) == 9
    assert conformal_radius(np.arange(8.0), 0.9) == np.inf
    assert conformal_radius(np.arange(9.0), 0.9) == 8.0
    with pytest.raises(InputError, match="level"):
        conformal_radius(np.arange(9.0), 1.0)


def test_a_forecast_is_widened_to_its_errors_and_never_narrowed() -> None:
    forecast = Estimate(value=2.0, low=1.98, high=2.02)
    wide = widen(forecast, np.full(9, 0.05), 0.9)
    assert (wide.low, wide.high) == pytest.approx((2 * np.exp(-0.05), 2 * np.exp(0.05)))
    assert widen(forecast, np.full(9, 1e-6), 0.9) == forecast


def test_a_relative_stretch_keeps_near_forecasts_narrow() -> None:
    forecast = Estimate(value=2.0, low=1.98, high=2.02)
    stretched = widen(forecast, np.full(9, 0.03), 0.9, widths=np.full(9, 0.01))
    own = (np.log(2.02) - np.log(1.98)) / 2
    assert np.log(stretched.high / 2.0) == pytest.approx(3 * own)
    assert widen(forecast, np.zeros(2), 0.9, widths=np.ones(2)).high == np.inf
