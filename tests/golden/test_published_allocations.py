"""Published statements about the best use of compute, and what of them follows from the formulas.

Kaplan et al. 2020 (2001.08361), Hoffmann et al. 2022 (2203.15556), Besiroglu et al. 2024 (2404.10102).
"""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.planning import diagnose
from scalescope.planning.rules import (
    GOPHER_COMPUTE,
    HOFFMANN_TABLE_3,
    hoffmann_parametric_size,
    hoffmann_power_law,
    hoffmann_size,
    kaplan_size,
)
from scalescope.points.conversions import PF_DAY

ROUND_SIZES = [(size, flop, tokens) for size, flop, _, tokens in HOFFMANN_TABLE_3 if size != 67e9]

# Hoffmann et al., table A3, approach 3: size, FLOP, tokens.
APPROACH_3 = (
    (400e6, 2.21e19, 9.2e9),
    (1e9, 1.62e20, 27.1e9),
    (10e9, 2.46e22, 410.1e9),
    (67e9, 1.71e24, 4.1e12),
    (175e9, 1.26e24, 12.0e12),
    (280e9, 3.52e25, 20.1e12),
    (520e9, 1.36e26, 43.5e12),
    (1e12, 5.65e26, 94.1e12),
    (10e12, 8.55e28, 1425.5e12),
)


def half_unit(value: float, digits: int) -> float:
    """Relative rounding of a number printed with so many significant digits."""
    return 0.5 * 10 ** (np.floor(np.log10(value)) - digits + 1) / value


def half_decimal(tokens: float) -> float:
    """Relative rounding of tokens printed with one decimal, in billions or trillions."""
    return 0.05 * (1e9 if tokens < 1e12 else 1e12) / tokens


class TestHoffmannApproach1:
    """Table 3 is a power law drawn by approach 1; no formula of the paper gives its prefactor."""

    @pytest.mark.parametrize(("size", "compute", "tokens"), ROUND_SIZES)
    def test_the_rule_goes_through_the_rows_within_their_rounding(self, size, compute, tokens):
        exponent, prefactor = hoffmann_power_law()
        needed = np.exp((np.log(size) - prefactor) / exponent)
        assert abs(needed / compute - 1) <= half_unit(compute, 3)

    @pytest.mark.parametrize(("size", "compute", "tokens"), ROUND_SIZES)
    def test_tokens_follow_from_six_n_d_within_rounding(self, size, compute, tokens):
        assert abs(6 * size * tokens / compute - 1) <= half_unit(compute, 3) + half_decimal(tokens)

    def test_the_exponent_lies_in_the_interval_of_table_2(self):
        exponent, _ = hoffmann_power_law()
        assert 0.488 <= exponent <= 0.502
        assert round(exponent, 2) == 0.50

    def test_the_row_at_gophers_compute_was_rounded_from_the_line(self):
        # Printed as 67B and 1.5T, which do not multiply to 5.76e23: the line itself gives 67.9B.
        assert 67e9 < hoffmann_size(GOPHER_COMPUTE) < 68.5e9
        assert 1.04 * GOPHER_COMPUTE < 6 * 67e9 * 1.5e12

    def test_the_head_to_head_at_1e21_advises_2_86_billion(self):
        # Appendix D.4.
        assert hoffmann_size(1e21) == pytest.approx(2.86e9, rel=half_unit(2.86, 3) + 1e-3)


class TestHoffmannApproach3:
    def test_the_projection_at_gophers_compute_is_40_billion(self):
        # Caption of figure 4.
        assert round(hoffmann_parametric_size(GOPHER_COMPUTE) / 1e9) == 40

    def test_the_exponent_rounds_to_that_of_table_2(self):
        slope = np.log(hoffmann_parametric_size(1e24) / hoffmann_parametric_size(1e20)) / np.log(1e4)
        assert round(slope, 2) == 0.46

    def test_three_rows_of_table_a3_do_not_satisfy_six_n_d(self):
        off = [
            size
            for size, compute, tokens in APPROACH_3
            if abs(6 * size * tokens / compute - 1) > half_unit(compute, 3) + half_decimal(tokens)
        ]
        # 67B is rounded as in table 3; the compute of 175B has a misprint in its exponent.
        assert off == [67e9, 175e9, 280e9]

    def test_the_other_rows_do_not_follow_from_the_printed_coefficients(self):
        short = []
        for size, compute, _ in APPROACH_3:
            if size in (67e9, 175e9, 280e9):
                continue
            low, high = compute * 0.5, compute * 2
            for _ in range(60):
                middle = np.sqrt(low * high)
                low, high = (middle, high) if hoffmann_parametric_size(middle) < size else (low, middle)
            short.append(1 - compute / low)
        # The table needs 5 to 16% less compute for a size than the closed form, more for larger ones.
        assert short == sorted(short)
        assert 0.05 < short[0] < short[-1] < 0.16


class TestKaplan:
    def test_one_petaflop_day_buys_1_3_billion_parameters(self):
        assert kaplan_size(PF_DAY) == pytest.approx(1.3e9)

    def test_ten_times_the_compute_buys_five_and_a_half_times_the_size(self):
        # "5.5x" in section 1 of Hoffmann et al.; the exponent alone gives 5.4.
        growth = kaplan_size(1e22) / kaplan_size(1e21)
        assert growth == pytest.approx(10**0.73)
        assert 10 / growth == pytest.approx(1.8, abs=0.07)

    def test_at_gpt_3s_compute_it_asks_for_ten_times_what_hoffmann_does(self):
        # 3,646 PF-days to the power 0.73 is 398: 517B against 50B parameters.
        assert kaplan_size(3.15e23) / hoffmann_size(3.15e23) == pytest.approx(517 / 50.3, rel=0.01)


class TestEpoch:
    def test_tokens_per_parameter_at_gophers_compute_are_18_to_26(self):
        result = diagnose(67e9, GOPHER_COMPUTE / (6 * 67e9), law="chinchilla:epoch2024")
        assert 18 <= result.optimal_tokens / result.optimal_params <= 26

    def test_hoffmanns_own_coefficients_give_about_70_there(self):
        result = diagnose(67e9, GOPHER_COMPUTE / (6 * 67e9), law="hoffmann2022")
        ratio = result.optimal_tokens / result.optimal_params
        # Besiroglu et al. read 70 off; the unrounded coefficients give 59, the printed ones 93.
        assert 55 < ratio < 95


class TestVerdicts:
    @pytest.mark.parametrize("name", ["gpt-3", "gopher"])
    @pytest.mark.parametrize("law", ["epoch2024", "hoffmann2022"])
    def test_models_before_chinchilla_were_under_trained(self, name, law):
        assert diagnose(name, law=law).verdict == "under-trained"

    @pytest.mark.parametrize("name", ["llama-1-7b", "llama-2-7b", "llama-3-8b", "llama-3-70b"])
    @pytest.mark.parametrize("law", ["epoch2024", "hoffmann2022"])
    def test_small_llamas_are_over_trained(self, name, law):
        assert diagnose(name, law=law).verdict == "over-trained"

    def test_chinchilla_is_near_the_optimum_by_the_re_fit_and_by_approach_1(self):
        result = diagnose("chinchilla")
        assert result.verdict == "near the optimum"
        assert result.compute_waste < 1.01
        assert 1 / 1.5 < result.params / hoffmann_size(result.compute) < 1.5

    def test_chinchilla_is_too_large_by_approach_3_of_its_own_paper(self):
        assert diagnose("chinchilla", law="hoffmann2022").verdict == "under-trained"
