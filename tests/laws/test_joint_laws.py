"""How the laws of size and data contain one another."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law, optimal_size
from scalescope.laws.algorithmic_progress import halving_years
from scalescope.laws.farseer import REFERENCE_SIZE, paper_coefficients

SIZES, TOKENS = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e5, 1e11, 7), np.geomspace(1e7, 1e13, 7)))
EPOCH = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])


def value(law, theta, **x):
    return get_law(law).value(np.asarray(theta, dtype=float), **x)


class TestNested:
    def test_with_q_of_one_it_is_the_law_of_hoffmann(self):
        np.testing.assert_allclose(
            value("nested", [*EPOCH, 1.0], N=SIZES, D=TOKENS),
            value("chinchilla", EPOCH, N=SIZES, D=TOKENS),
            rtol=1e-12,
        )

    def test_without_a_floor_and_with_q_the_data_exponent_it_is_the_law_of_kaplan(self):
        Nc, Dc, alpha_N, alpha_D = theta = np.array([6.4e13, 1.8e13, 0.076, 0.103])
        nested = [0.0, Nc**alpha_N, Dc**alpha_D, alpha_N, alpha_D, alpha_D]
        np.testing.assert_allclose(
            value("nested", nested, N=SIZES, D=TOKENS),
            value("kaplan", theta, N=SIZES, D=TOKENS),
            rtol=1e-12,
        )

    def test_the_supervised_law_of_busbridge_is_a_member(self):
        # arXiv 2502.08606, eq. 8 and its coefficients.
        E, A, B, alpha, beta, gamma = 1.220, 3355.0, 18186.0, 0.408, 0.431, 0.452
        theta = list(get_law("nested").published["busbridge2025"].coefficients.values())
        np.testing.assert_allclose(
            value("nested", theta, N=SIZES, D=TOKENS),
            E + (A * SIZES**-alpha + B * TOKENS**-beta) ** gamma,
            rtol=1e-12,
        )

    def test_towards_q_of_zero_only_the_larger_cost_counts_and_nothing_overflows(self):
        E, A, B, alpha, beta = EPOCH
        got = value("nested", [*EPOCH, 0.001], N=SIZES, D=TOKENS)
        larger = E + np.maximum(A * SIZES**-alpha, B * TOKENS**-beta)
        np.testing.assert_allclose(got, larger, rtol=2e-3)


class TestRosenfeld:
    def test_far_below_the_ceiling_it_is_the_law_of_hoffmann(self):
        np.testing.assert_allclose(
            value("rosenfeld", [*EPOCH, 1e6], N=SIZES, D=TOKENS),
            value("chinchilla", EPOCH, N=SIZES, D=TOKENS),
            rtol=1e-8,
        )

    def test_a_model_that_learned_nothing_is_at_the_ceiling(self):
        assert value("rosenfeld", [*EPOCH, 9.0], N=np.array(1e-30), D=np.array(1.0)) == pytest.approx(9.0)

    def test_it_is_the_complex_envelope_of_the_paper(self):
        # Eq. 4 and 5 with any eta; ours has eta equal to the level of chance.
        E, A, B, alpha, beta = EPOCH
        chance, eta = 9.0, 0.7
        paper = (E + A * SIZES**-alpha + B * TOKENS**-beta) * eta / chance
        np.testing.assert_allclose(
            value("rosenfeld", [*EPOCH, chance], N=SIZES, D=TOKENS),
            chance * np.abs(paper / (paper - 1j * eta)),
            rtol=1e-12,
        )


class TestFarseer:
    THETA = get_law("farseer").examples

    def test_the_papers_form_gives_the_same_surface(self):
        a1, b1, p1, a2, b2, p2, a3, b3, p3 = paper_coefficients(self.THETA)
        floor = np.exp(a3 * SIZES**p3 + b3)
        data = np.exp(a2 * SIZES**p2 + b2) * TOKENS ** -np.exp(a1 * SIZES**p1 + b1)
        np.testing.assert_allclose(value("farseer", self.THETA, N=SIZES, D=TOKENS), floor + data, rtol=1e-9)

    def test_without_slopes_of_the_data_term_it_is_a_sum_of_two_powers(self):
        # Slopes zero but for the floor, which bends by nothing: a pure power of size plus one of data.
        theta = [np.log(0.3), 0.0, 0.5, 6.0, 0.0, 0.5, 0.6, -0.05, 0.0]
        expected = np.exp(0.6) * (SIZES / REFERENCE_SIZE) ** -0.05 + np.exp(6.0) * TOKENS**-0.3
        np.testing.assert_allclose(value("farseer", theta, N=SIZES, D=TOKENS), expected, rtol=1e-12)

    def test_the_gradient_goes_smoothly_through_a_bend_of_zero(self):
        law, places = get_law("farseer"), [2, 5, 8]
        grid = {"N": SIZES, "D": TOKENS}
        near = []
        for bend in (-2e-3, 0.0, 2e-3):
            theta = self.THETA.copy()
            theta[places] = bend
            near.append(law.gradient(theta, **grid))
        scale = np.abs(near[1]).max(axis=1, keepdims=True)
        np.testing.assert_allclose((near[0] + near[2]) / 2 / scale, near[1] / scale, atol=2e-4)

    @pytest.mark.parametrize("bend", [0.0, 1e-4, -1e-3, 0.3, -0.3])
    def test_the_gradient_by_the_bends_is_right_on_both_sides_of_the_series(self, bend):
        law = get_law("farseer")
        theta = self.THETA.astype(complex)
        theta[[2, 5, 8]] = bend
        gradient = law.gradient(theta.real, N=SIZES, D=TOKENS)
        for place in (2, 5, 8):
            step = theta.copy()
            step[place] += 1e-30j
            exact = law.value(step, N=SIZES, D=TOKENS).imag / 1e-30
            np.testing.assert_allclose(gradient[place], exact, rtol=1e-8, atol=1e-12 * np.abs(exact).max())


class TestOvertraining:
    THETA = np.array([1.8366, 212.2, 366.7, 0.13645])

    def test_it_is_the_law_of_hoffmann_with_one_exponent(self):
        E, a, b, eta = self.THETA
        chinchilla = [E, a * 6**-eta, b * 6**-eta, 2 * eta, 2 * eta]
        np.testing.assert_allclose(
            value("overtraining", self.THETA, N=SIZES, D=TOKENS),
            value("chinchilla", chinchilla, N=SIZES, D=TOKENS),
            rtol=1e-12,
        )

    def test_its_best_tokens_per_parameter_do_not_depend_on_compute(self):
        _, a, b, eta = self.THETA
        compute = np.array([1e19, 1e22, 1e25])
        N = optimal_size("overtraining", self.THETA, compute)
        np.testing.assert_allclose(compute / (6 * N**2), (b / a) ** (1 / (2 * eta)), rtol=1e-5)


class TestAlgorithmicProgress:
    THETA = get_law("algorithmic-progress").examples

    def test_in_2012_it_is_the_law_of_hoffmann(self):
        np.testing.assert_allclose(
            value("algorithmic-progress", self.THETA, N=SIZES, D=TOKENS, Y=np.array(2012.0)),
            value("chinchilla", self.THETA[:5], N=SIZES, D=TOKENS),
            rtol=1e-12,
        )

    def test_the_halving_time_is_when_half_the_compute_has_the_same_effect(self):
        years = halving_years(self.THETA)
        growth_N, growth_D = np.exp(self.THETA[5:] * years)
        assert growth_N * growth_D == pytest.approx(2)
        later = value(
            "algorithmic-progress",
            self.THETA,
            N=SIZES / growth_N,
            D=TOKENS / growth_D,
            Y=np.array(2012 + years),
        )
        np.testing.assert_allclose(later, value("chinchilla", self.THETA[:5], N=SIZES, D=TOKENS), rtol=1e-12)


class TestShape:
    def test_a_factor_of_shape_that_vanishes_leaves_the_law_of_hoffmann(self):
        theta = [*EPOCH, 1e-300, 0.5]
        got = value("aspect-ratio", theta, N=SIZES, D=TOKENS, w=np.array(1024.0), l=np.array(16.0))
        np.testing.assert_allclose(got, value("chinchilla", EPOCH, N=SIZES, D=TOKENS), rtol=1e-12)

    def test_width_and_depth_without_end_leave_the_law_of_hoffmann(self):
        E, A, B, alpha, beta = EPOCH
        theta = [E, 4.0, 1.0, A, B, 0.5, 0.5, alpha, beta]
        far = {"w": np.array(1e40), "d": np.array(1e40)}
        got = value("width-depth", theta, N=SIZES, D=TOKENS, **far)
        np.testing.assert_allclose(got, value("chinchilla", EPOCH, N=SIZES, D=TOKENS), rtol=1e-12)

    def test_without_the_term_of_size_it_is_the_law_of_width_depth_and_data(self):
        shape = {"w": np.geomspace(64, 4096, 49), "d": np.geomspace(4, 64, 49)}
        with_size = [1.4, 20.0, 1.5, 0.0, 4000.0, 0.6, 0.7, 0.5, 0.42]
        np.testing.assert_allclose(
            value("width-depth", with_size, N=SIZES, D=TOKENS, **shape),
            value("width-depth-data", [1.4, 20.0, 1.5, 4000.0, 0.6, 0.7, 0.42], D=TOKENS, **shape),
            rtol=1e-12,
        )
