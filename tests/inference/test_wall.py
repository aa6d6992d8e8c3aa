from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import Positions
from scalescope.inference.wall import RESOLUTION, WallSearch, next_length

ANYWHERE = Positions(kind="rope", limit=None)


def search(longest, positions=ANYWHERE, start=128, most=1 << 20):
    """Tried lengths, in order, of a model that runs up to `longest`."""
    states = {start: "ok"}
    tried = []
    while (length := next_length(states, WallSearch(most=most), positions)) is not None:
        assert length not in states
        tried.append(length)
        states[length] = "ok" if length <= longest else "allocator_oom"
    return tried, states


@given(longest=st.integers(130, 900_000))
def test_the_wall_is_found_within_the_resolution(longest):
    tried, states = search(longest)
    ran = max(length for length, state in states.items() if state == "ok")
    failed = min(length for length, state in states.items() if state != "ok")
    assert ran <= longest < failed
    assert failed <= max(ran * (1 + RESOLUTION), ran + 2 * WallSearch().step)
    assert len(tried) < 25


def test_lengths_double_first():
    tried, _ = search(5000)
    assert tried[:6] == [256, 512, 1024, 2048, 4096, 8192]


def test_a_position_table_is_tried_to_its_end_and_not_beyond():
    tried, _ = search(10_000, Positions(kind="table", limit=1500))
    assert tried == [256, 512, 1024, 1500]


def test_nothing_is_tried_beyond_the_most():
    tried, _ = search(10_000, most=1000)
    assert tried == [256, 512, 1000]


@pytest.mark.parametrize("states", [{}, {128: "timeout"}, {128: "position_limit", 512: "position_limit"}])
def test_where_nothing_ran_there_is_nothing_to_search(states):
    assert next_length(states, WallSearch(), ANYWHERE) is None
