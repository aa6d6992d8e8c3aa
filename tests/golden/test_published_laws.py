"""Numbers that papers print, against the laws as shipped."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law, optimal_size
from scalescope.points import Array


def published(law: str, name: str) -> Array:
    return np.array(list(get_law(law).published[name].coefficients.values()))


@pytest.mark.parametrize(
    ("law", "variable", "at"),
    [("loss-size", "N", 8.8e13), ("loss-data", "D", 5.4e13), ("loss-compute", "C", 3.1e8 * 8.64e19)],
)
def test_kaplans_single_factor_laws_reach_one_nat_at_their_printed_constant(
    law: str, variable: str, at: float
) -> None:
    assert get_law(law).value(published(law, "kaplan2020"), **{variable: np.array(at)}) == pytest.approx(1.0)


def test_kaplans_joint_law_becomes_the_law_of_size_without_end_of_data() -> None:
    # Eq. 1.5 with D to infinity is (Nc/N)^alphaN with the Nc and alphaN of table 2.
    loss = get_law("kaplan").value(published("kaplan", "kaplan2020"), N=np.array(1e9), D=np.array(1e300))
    assert loss == pytest.approx((6.4e13 / 1e9) ** 0.076)


TABLE_3 = np.array(
    [(400e6, 1.92e19, 8.0e9), (1e9, 1.21e20, 20.2e9), (10e9, 1.23e22, 205.1e9), (67e9, 5.76e23, 1.5e12)]
)
"""Hoffmann et al., table 3: parameters, FLOP, tokens. It prints approach 1, a power law of exponent 0.50."""


def test_table_3_of_hoffmann_keeps_to_six_n_d() -> None:
    params, compute, tokens = TABLE_3.T
    np.testing.assert_allclose(6 * params * tokens, compute, rtol=0.06)


def test_the_re_fit_of_approach_3_agrees_with_table_3() -> None:
    # Two methods on the same runs; "agrees" is as far as the paper claims it: within a quarter of the size.
    params, compute, _ = TABLE_3.T
    refit = optimal_size("chinchilla", published("chinchilla", "epoch2024"), compute)
    np.testing.assert_allclose(refit, params, rtol=0.25)


def test_the_printed_approach_3_drifts_away_from_table_3_with_compute() -> None:
    params, compute, _ = TABLE_3.T
    ratio = optimal_size("chinchilla", published("chinchilla", "hoffmann2022"), compute) / params
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] < 0.7


def test_the_exponent_of_hoffmanns_approach_3_rounds_to_what_table_2_prints() -> None:
    *_, alpha, beta = published("chinchilla", "hoffmann2022")
    assert round(beta / (alpha + beta), 2) == 0.46
