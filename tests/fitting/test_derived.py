from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting import fit
from scalescope.fitting.derived import Optimum, derive, optimum
from scalescope.fitting.result import Fit
from scalescope.laws import optimal_size


@pytest.fixture(scope="module")
def found(make_grid) -> Fit:
    return fit(make_grid("chinchilla", noise=0.005), resamples=60)


def test_the_optimum_is_that_of_the_coefficients(found: Fit) -> None:
    at = optimum(found, 1e13)
    size = float(optimal_size("chinchilla", found.theta, 1e13))
    assert at.size.value == pytest.approx(size)
    assert at.tokens.value == pytest.approx(1e13 / 6 / size)
    assert at.tokens_per_param.value == pytest.approx(at.tokens.value / at.size.value)
    x = {"N": np.array([size]), "D": np.array([1e13 / 6 / size])}
    assert at.loss.value == pytest.approx(found.value(**x)[0])
    assert at.reach == pytest.approx(1e13 / found.ranges["C"][1])


def test_the_exponent_of_a_power_law_is_the_ratio_of_its_exponents(found: Fit) -> None:
    alpha, beta = found.theta[3:]
    assert optimum(found, 1e13).exponent.value == pytest.approx(beta / (alpha + beta), rel=1e-9)


def test_intervals_hold_their_values_and_widen_with_the_level_and_the_compute(found: Fit) -> None:
    near, far, sure = optimum(found, 1e12), optimum(found, 1e16), optimum(found, 1e12, level=0.99)
    for one in (near, far, sure):
        for name in ("size", "tokens", "tokens_per_param", "loss", "exponent"):
            estimate = getattr(one, name)
            assert estimate.low < estimate.value < estimate.high
    assert far.size.high / far.size.low > near.size.high / near.size.low
    assert sure.size.high / sure.size.low > near.size.high / near.size.low


@pytest.mark.parametrize("law", ["isoflop", "kaplan"])
def test_any_law_that_weighs_size_has_an_optimum(make_grid, law: str) -> None:
    one = optimum(fit(make_grid("chinchilla", noise=0.005), law, resamples=10), 1e12)
    assert 1e3 < one.size.value < 1e8
    assert one.size.low <= one.size.value <= one.size.high


def test_an_optimum_has_the_five_ways_out(found: Fit) -> None:
    one = optimum(found, 1e13)
    assert Optimum.from_dict(one.to_dict()) == one
    assert "best use of" in one.summary()
    assert [row["quantity"] for row in one.frame()] == [
        "size",
        "tokens",
        "tokens_per_param",
        "loss",
        "exponent",
    ]


def test_any_function_of_the_coefficients_has_an_interval(found: Fit) -> None:
    ratio = derive(found, lambda theta: theta[3] / theta[4], level=0.8)
    assert ratio.value == pytest.approx(found.theta[3] / found.theta[4])
    draws = found.resamples[:, 3] / found.resamples[:, 4]
    assert ratio.low == pytest.approx(min(np.quantile(draws, 0.1), ratio.value))


def test_without_resamples_the_interval_is_unknown(make_grid) -> None:
    one = optimum(fit(make_grid("chinchilla", noise=0.005), resamples=0), 1e13)
    assert np.isfinite(one.size.value)
    assert np.isnan(one.size.low)


def test_an_impossible_compute_or_a_law_without_an_optimum_is_refused(found: Fit, make_grid) -> None:
    with pytest.raises(InputError, match="FLOP"):
        optimum(found, -1.0)
    with pytest.raises(InputError, match="no best size"):
        optimum(fit(make_grid("chinchilla"), "loss-compute", resamples=0), 1e13)
