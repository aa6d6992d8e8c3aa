from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.fitting.holdout import Holdout
from scalescope.planning.spread import (
    coefficient_spread,
    form_error,
    predict_loss,
    published_form_error,
    run_sd,
    way_out,
)
from scalescope.planning.surface import Surface

# Other work on the machine must not fail a test.
unhurried = settings(deadline=None, max_examples=25)


def holdout(law="chinchilla", ratio=3.0, rms_error=0.03, log_error=0.02, n_predicted=7) -> Holdout:
    return Holdout(
        law=law,
        n_fitted=14,
        n_predicted=n_predicted,
        ratio=ratio,
        log_error=log_error,
        rms_error=rms_error,
    )


def width(fit, N, D, **options) -> float:
    one = predict_loss(fit, Surface.of_fit(fit), N, 6 * N * D, level=0.9, **options)
    return float(np.log(one.high / one.low))


class TestWidth:
    @unhurried
    @given(
        spread=st.lists(st.floats(0, 0.1), min_size=5, max_size=5),
        size=st.floats(1e4, 1e6),
        ratio=st.floats(1, 300),
        steps=st.lists(st.floats(1, 30), min_size=3, max_size=3),
    )
    def test_farther_out_is_never_narrower(self, make_fit, spread, size, ratio, steps):
        fit = make_fit(spread=spread, n_resamples=30)
        sizes = size * np.cumprod([1.0, *steps])
        reached = [N for N in sizes if N > 4e5]
        widths = [width(fit, N, ratio * N, past=[holdout()]) for N in reached]
        assert all(near <= far * (1 + 1e-9) for near, far in pairwise(widths))

    def test_curves_that_meet_again_far_out_do_not_narrow_the_interval(self, make_fit):
        # Only the exponents differ: far out every resample falls onto the same floor.
        fit = make_fit(spread=(0, 0, 0, 0.05, 0.05))
        surface = Surface.of_fit(fit)
        far = 1e20
        at_target = np.log(surface.loss(np.array([far]), np.array([6 * far * 20 * far])))
        assert np.ptp(at_target) < 1e-3
        below, above = coefficient_spread(surface, far, 20 * far, fit.ranges, 0.9)
        near = coefficient_spread(surface, 4e5, 8e6, fit.ranges, 0.9)
        assert min(near) > 0.01
        assert below >= near[0] * (1 - 1e-12)
        assert above >= near[1] * (1 - 1e-12)

    def test_the_noise_of_one_run_stays_when_the_law_is_exact(self, make_fit):
        fit = make_fit(spread=0.0, noise_sd=0.02, residual_sd=0.01)
        assert width(fit, 1e5, 1e6) == pytest.approx(2 * 1.6449 * 0.02, rel=1e-4)

    def test_residuals_larger_than_the_noise_count_instead_of_it(self, make_fit):
        assert run_sd(make_fit(noise_sd=0.01, residual_sd=0.03)) == 0.03
        assert run_sd(make_fit(noise_sd=None, residual_sd=0.03)) == 0.03

    def test_another_evaluation_adds_its_error_in_quadrature(self, make_fit):
        fit = make_fit(spread=0.0, noise_sd=0.03, residual_sd=0.0)
        assert width(fit, 1e5, 1e6, evaluation_sd=0.04) == pytest.approx(2 * 1.6449 * 0.05, rel=1e-4)

    def test_the_form_costs_nothing_inside_the_range_and_grows_with_the_log_of_the_reach(self, make_fit):
        fit = make_fit(spread=0.0, noise_sd=0.0, residual_sd=0.0)
        past = [holdout(ratio=np.e, rms_error=0.02)]
        assert width(fit, 1e5, 1e6, past=past) == 0
        # 10 and 100 times the largest tokens at a fitted size. The published error counts as two hold-outs:
        # three degrees of freedom, t = 2.3534 at 90%.
        ten, hundred = (width(fit, 1e4, 9e6 * times, past=past) for times in (10, 100))
        rate = np.sqrt((2 * published_form_error() ** 2 + 0.02**2) / 3)
        assert ten == pytest.approx(2 * 2.3534 * rate * np.log(10), rel=1e-4)
        assert hundred == pytest.approx(2 * ten)

    def test_more_hold_outs_of_the_same_error_narrow_it(self, make_fit):
        fit = make_fit(spread=0.0)
        same = holdout(ratio=np.e, rms_error=np.hypot(published_form_error(), 0.01), n_predicted=1000)
        widths = [width(fit, 1e5, 1e9, past=[same] * n) for n in (0, 1, 2, 8)]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 1.2 * widths[1]

    def test_worse_hold_outs_widen_it(self, make_fit):
        fit = make_fit(spread=0.0)
        widths = [width(fit, 1e5, 1e9, past=[holdout(rms_error=error)] * 2) for error in (0.01, 0.03, 0.1)]
        assert widths == sorted(widths)
        assert widths[2] > 2 * widths[1]


def own_rate(fit, past) -> float:
    """What the hold-outs alone say: the published part taken off again."""
    rate, degrees = form_error(fit, past)
    return float(np.sqrt((rate**2 * degrees - 2 * published_form_error() ** 2) / (degrees - 2)))


class TestFormError:
    def test_without_hold_outs_is_the_published_one(self, make_fit):
        # 2.1% at 300 times the compute.
        rate, degrees = form_error(make_fit(), [])
        assert rate == pytest.approx(0.0210 / np.log(300), rel=0.01)
        assert degrees == 2

    def test_is_the_error_per_e_fold_with_the_noise_taken_off(self, make_fit):
        past = [holdout(ratio=np.e**2, rms_error=0.05)]
        assert own_rate(make_fit(noise_sd=0.03), past) == pytest.approx(0.04 / 2)
        assert form_error(make_fit(), past)[1] == 3

    def test_is_never_less_than_what_the_hold_out_could_have_shown(self, make_fit):
        past = [holdout(ratio=np.e, rms_error=0.001, n_predicted=9)]
        assert own_rate(make_fit(noise_sd=0.03), past) == pytest.approx(0.03 / 3)

    def test_a_hold_out_close_by_counts_for_less(self, make_fit):
        _, degrees = form_error(make_fit(), [holdout(ratio=np.exp(0.5))])
        assert degrees == pytest.approx(2.25)

    def test_comes_from_this_laws_hold_outs_beyond_their_fit_alone(self, make_fit):
        past = [holdout(law="isoflop", rms_error=0.9), holdout(ratio=1.0, rms_error=0.9)]
        assert form_error(make_fit(), past) == form_error(make_fit(), [])


class TestWayOut:
    def test_is_the_target_alone_inside_the_range(self):
        sizes, tokens = way_out(1e4, 1e6, {"N": (1e3, 1e5), "D": (1e5, 1e7), "C": (1e9, 1e12)})
        assert sizes.tolist() == [1e4]
        assert tokens.tolist() == [1e6]

    @unhurried
    @given(N=st.floats(2e5, 1e9), ratio=st.floats(1, 100))
    def test_runs_from_the_edge_to_the_target_at_one_ratio_of_tokens(self, N, ratio):
        ranges = {"N": (1e3, 1e5), "D": (1e5, 1e7), "C": (1e9, 1e12)}
        sizes, tokens = way_out(N, ratio * N, ranges)
        np.testing.assert_allclose(tokens / sizes, ratio)
        beyond = [sizes[0] / 1e5, tokens[0] / 1e7, np.sqrt(6 * sizes[0] * tokens[0] / 1e12)]
        assert max(beyond) == pytest.approx(1)
        assert N * (1 - 1e-9) <= sizes[-1] <= 1.2 * N
