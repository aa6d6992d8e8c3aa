from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.studies.family import WIDTHS, depths, family, make_shape, nearest_shape

vocabularies = st.sampled_from([256, 1000, 4096, 32_000])


@pytest.mark.parametrize("vocabulary", [256, 32_000])
def test_members_ascend_in_size_and_are_distinct(vocabulary):
    sizes = [shape.params_matmul for shape in family(vocabulary, 128)]
    assert sizes == sorted(sizes)
    assert len(set(family(vocabulary, 128))) == len(sizes)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_has_one_or_two_neighbouring_depths_of_at_least_two_layers(width):
    found = depths(width)
    assert min(found) >= 2
    assert len(found) in (1, 2)
    assert max(found) - min(found) == len(found) - 1


def test_depth_grows_with_width():
    assert [max(depths(width)) for width in WIDTHS] == sorted(max(depths(width)) for width in WIDTHS)


@given(width=st.sampled_from(WIDTHS), vocabulary=vocabularies)
def test_heads_are_even_and_near_the_size_that_is_meant(width, vocabulary):
    shape = make_shape(width, 2, vocabulary, 128)
    assert shape.head_size % 2 == 0
    assert shape.head_size * shape.n_heads == width
    wanted = 16 if width < 64 else 32
    assert wanted / 2 <= shape.head_size <= wanted * 2 or width < 16


@given(width=st.sampled_from(WIDTHS))
def test_the_feed_forward_holds_about_as_much_as_two_matrices_of_four_widths(width):
    shape = make_shape(width, 2, 256, 128)
    assert 3 * shape.feed_forward * width == pytest.approx(8 * width**2, rel=0.2, abs=24 * width)


@given(exponent=st.floats(4.2, 7.5), vocabulary=vocabularies)
def test_the_nearest_shape_is_the_nearest_in_ratio(exponent, vocabulary):
    size = 10**exponent

    def off(shape):
        return abs(math.log(shape.params_matmul / size))

    found = nearest_shape(size, vocabulary, 128)
    assert off(found) == pytest.approx(min(off(shape) for shape in family(vocabulary, 128)))


@pytest.mark.parametrize("vocabulary", [256, 4096, 32_000])
def test_neighbours_are_less_than_a_doubling_apart(vocabulary):
    sizes = [shape.params_matmul for shape in family(vocabulary, 128)]
    assert max(b / a for a, b in itertools.pairwise(sizes)) < 2
