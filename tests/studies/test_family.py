from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import Hashing
from scalescope.errors import InputError
from scalescope.studies.family import (
    WIDTHS,
    aspects,
    depths,
    family,
    make_shape,
    nearest_shape,
    of_depth,
    with_experts,
)

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


@given(width=st.sampled_from(WIDTHS[8:]), sharing=st.sampled_from([1, 2, 4, 100]))
def test_heads_share_keys_as_far_as_they_can(width, sharing):
    shape = make_shape(width, 2, 256, 128, sharing=sharing)
    assert shape.n_heads % shape.n_kv_heads == 0
    if shape.n_heads % sharing == 0:
        assert shape.n_heads // shape.n_kv_heads == sharing
    if sharing == 100:
        assert shape.n_kv_heads == 1


def test_a_member_may_be_tied_and_of_other_mixers():
    shape = make_shape(64, 4, 256, 128, tied=True, pattern=("hashed", "full"), hashing=Hashing(bucket=16))
    assert shape.mixers == ("hashed", "full", "hashed", "full")
    assert shape.params < make_shape(64, 4, 256, 128, pattern=("hashed", "full"), hashing=Hashing()).params


@given(width=st.sampled_from(WIDTHS[20:40]), depth=st.integers(2, 12), other=st.integers(2, 12))
def test_another_depth_has_the_width_that_is_nearest_in_size(width, depth, other):
    shape = make_shape(width, depth, 256, 128)
    found = of_depth(shape, other)
    assert found.n_layers == other

    def off(one):
        return abs(math.log(one.params_matmul / shape.params_matmul))

    for step in (-4, 4):
        assert off(found) <= off(make_shape(found.width + step, other, 256, 128))


def test_the_depth_of_a_shape_gives_the_shape():
    shape = make_shape(96, 4, 256, 128, sharing=3, tied=True)
    assert of_depth(shape, 4) == shape


def test_aspects_are_of_one_size_and_of_the_ratios_that_were_asked_for():
    shape = make_shape(256, 8, 256, 128)
    found = aspects(shape, [4, 8, 16, 32, 64, 128])
    assert len(found) == 6
    assert [one.n_layers for one in found] == sorted({one.n_layers for one in found})
    for one, ratio in zip(reversed(found), [4, 8, 16, 32, 64, 128], strict=True):
        assert one.params_matmul == pytest.approx(shape.params_matmul, rel=0.05)
        assert one.width / one.n_layers == pytest.approx(ratio, rel=0.35)


@given(
    width=st.sampled_from(WIDTHS[24:44]),
    count=st.sampled_from([4, 8, 16]),
    top_k=st.sampled_from([1, 2]),
    granularity=st.sampled_from([1, 2, 4]),
    shared=st.integers(0, 1),
)
def test_a_twin_with_experts_has_the_active_parameters_of_the_dense_shape(
    width, count, top_k, granularity, shared
):
    dense = make_shape(width, 4, 256, 128)
    if top_k * granularity == shared:
        return
    twin = with_experts(dense, count=count, top_k=top_k, granularity=granularity, shared=shared)
    experts = twin.experts
    assert twin.params_active == pytest.approx(dense.params_active, rel=0.03)
    assert (experts.top_k + shared, experts.count + shared) == (top_k * granularity, count * granularity)
    routed = twin.params - twin.params_active
    assert routed == 4 * (experts.count - experts.top_k) * 3 * width * experts.width


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 8, "top_k": 2, "shared": 2}, "2 of the 2 parts"),
        ({"count": 600, "top_k": 2}, "takes the place of the whole feed-forward"),
    ],
)
def test_experts_that_leave_no_room_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        with_experts(make_shape(64, 2, 256, 128), **settings)
