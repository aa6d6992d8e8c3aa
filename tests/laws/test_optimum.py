from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.laws import LAWS, get_law, optimal_size
from scalescope.laws.optimum import CLOSED_FORMS, search_size

THETAS = {
    "chinchilla": np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658]),
    "isoflop": np.array([0.6, 72.0, 0.16, 0.042, 0.52, 0.07]),
    "kaplan": np.array([6.4e13, 1.8e13, 0.076, 0.103]),
}


@pytest.mark.parametrize("law", CLOSED_FORMS)
@settings(max_examples=30, deadline=None)
@given(log_compute=st.floats(12, 26))
def test_every_closed_form_agrees_with_the_search(law: str, log_compute: float) -> None:
    compute = np.array(10**log_compute)
    closed = optimal_size(law, THETAS[law], compute)
    np.testing.assert_allclose(
        np.log(search_size(get_law(law), THETAS[law], compute)), np.log(closed), atol=1e-5
    )


def test_all_resamples_and_budgets_are_solved_at_once() -> None:
    resamples = THETAS["chinchilla"] * np.random.default_rng(0).normal(1, 0.01, (50, 5))
    compute = np.array([1e20, 1e22, 1e24])
    sizes = optimal_size("chinchilla", resamples.T[:, :, None], compute)
    assert sizes.shape == (50, 3)
    assert sizes[7, 2] == optimal_size("chinchilla", resamples[7], 1e24)


@pytest.mark.parametrize("law", [name for name in LAWS if len(LAWS[name].variables) == 1])
def test_a_law_of_one_factor_has_no_best_size(law: str) -> None:
    with pytest.raises(InputError, match="does not weigh"):
        optimal_size(law, np.array([0.5, 1.0, 0.1]), 1e20)


def test_compute_grows_the_chinchilla_optimum_with_beta_over_the_sum() -> None:
    *_, alpha, beta = THETAS["chinchilla"]
    small, large = optimal_size("chinchilla", THETAS["chinchilla"], np.array([1e20, 1e22]))
    assert np.log(large / small) / np.log(100) == pytest.approx(beta / (alpha + beta))
