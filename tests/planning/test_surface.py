from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.planning.surface import Surface, check_level, check_positive, estimate, require_optimum

# Other work on the machine must not fail a test.
unhurried = settings(deadline=None, max_examples=40)

LAWS = {
    "chinchilla": (1.8, 480.0, 2100.0, 0.35, 0.37),
    "isoflop": (1.8, 900.0, 0.15, 0.1, 0.5, 0.05),
    "kaplan": (6.4e13, 1.8e13, 0.076, 0.103),
}
computes = st.floats(1e15, 1e26)


def surface(law: str) -> Surface:
    return Surface(law=law, theta=np.array(LAWS[law])[:, None])


@pytest.mark.parametrize("law", LAWS)
class TestSurface:
    @unhurried
    @given(compute=computes, factor=st.floats(1.05, 50))
    def test_the_optimum_is_a_minimum_along_the_line_of_equal_compute(self, law, compute, factor):
        C = np.array([compute])
        best = surface(law).optimum(C)
        at_best = surface(law).loss(best, C)[0, 0]
        assert at_best < surface(law).loss(best * factor, C)[0, 0]
        assert at_best < surface(law).loss(best / factor, C)[0, 0]

    @unhurried
    @given(compute=computes, share=st.floats(1e-12, 1))
    def test_the_equal_loss_compute_is_the_way_back_from_the_best_loss(self, law, compute, share):
        C = np.array([compute])
        loss = surface(law).best_loss(share * C)
        np.testing.assert_allclose(surface(law).equal_compute(loss, C), share * compute, rtol=1e-7)

    @unhurried
    @given(compute=computes)
    def test_the_best_loss_falls_with_compute(self, law, compute):
        losses = surface(law).best_loss(compute * np.array([1.0, 2.0, 10.0]))[0]
        assert losses[0] > losses[1] > losses[2]


def test_no_compute_is_needed_for_a_loss_that_a_negligible_run_reaches():
    found = surface("kaplan").equal_compute(np.array([[1e9]]), np.array([1e20]))
    assert found[0, 0] == 0


def test_a_loss_that_is_not_a_number_has_no_equal_compute():
    found = surface("chinchilla").equal_compute(np.array([[np.nan, 3.0]]), np.array([1e20, 1e20]))
    assert np.isnan(found[0, 0])
    assert 0 < found[0, 1] < 1e20


def test_tables_have_the_point_estimate_first_and_a_row_a_resample(chinchilla):
    table = Surface.of_fit(chinchilla).best_loss(np.array([1e12, 1e13, 1e14]))
    assert table.shape == (61, 3)
    one = Surface(law="chinchilla", theta=chinchilla.theta[:, None])
    np.testing.assert_array_equal(table[:1], one.best_loss(np.array([1e12, 1e13, 1e14])))


class TestEstimate:
    @unhurried
    @given(st.lists(st.floats(0.1, 10), min_size=2, max_size=40), st.floats(0.5, 0.99))
    def test_the_interval_contains_the_value(self, rows, level):
        one = estimate(np.array(rows), level)
        assert one.low <= one.value <= one.high

    def test_infinite_samples_are_a_tail_and_not_dropped(self):
        one = estimate(np.array([1.0, *np.linspace(0.9, 1.1, 80), *[np.inf] * 20]), 0.9)
        assert one.high == np.inf
        assert 0.9 <= one.low <= 1.0

    def test_samples_that_are_no_numbers_are_left_out(self):
        one = estimate(np.array([1.0, np.nan, 0.5, 2.0]), 0.9)
        assert 0.5 < one.low < one.high < 2.0

    def test_without_samples_the_interval_is_unknown(self):
        one = estimate(np.array([1.0]), 0.9)
        assert one.value == 1.0
        assert np.isnan(one.low)
        assert np.isnan(one.high)


def test_a_law_of_one_variable_has_no_optimum():
    with pytest.raises(InputError, match="no best size") as caught:
        require_optimum("loss-size")
    assert "chinchilla" in caught.value.hint


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_what_is_not_a_positive_number_is_refused_by_name(value):
    with pytest.raises(InputError, match="tokens must be a positive number"):
        check_positive(value, "tokens")


def test_a_level_outside_its_range_is_refused():
    assert check_level(None, 0.8) == 0.8
    with pytest.raises(InputError, match="between 0 and 1"):
        check_level(90, 0.8)
