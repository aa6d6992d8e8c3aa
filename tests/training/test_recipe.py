"""The recipe's rules as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import Shape
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe, steps_to

RECIPE = Recipe()
SHAPE = Shape(width=32, n_layers=2, n_heads=2, n_kv_heads=2, feed_forward=88, vocabulary=256, context=128)
tokens = st.integers(min_value=20_000, max_value=10_000_000)


@given(tokens, tokens)
def test_the_batch_never_shrinks_as_a_run_goes_on(a, b):
    assert RECIPE.batch(min(a, b), 128) <= RECIPE.batch(max(a, b), 128)


@given(tokens)
def test_a_branch_begins_in_the_second_half_of_its_horizon(horizon):
    assert horizon / 2 <= RECIPE.branch_point(horizon, 128) < horizon


@given(tokens, st.floats(0.0, 0.9))
def test_steps_end_within_half_a_sequence_of_where_they_should(stop, share):
    start = round(share * stop / 128) * 128
    reached = start + 128 * sum(steps_to(RECIPE, 128, start, stop))
    assert abs(reached - stop) <= 64


@given(tokens)
def test_the_warm_up_is_no_longer_than_one_token_a_parameter_or_its_floor(horizon):
    floor = RECIPE.warmup_steps * RECIPE.batch(1.0, 128) * 128
    assert floor <= RECIPE.warmup_tokens(SHAPE, horizon) <= max(floor, SHAPE.params_matmul)


def test_sharing_a_trunk_costs_less_than_runs_from_scratch():
    horizons = (100_000, 230_000, 529_000)
    shared = tokens_trained(RECIPE, SHAPE, horizons, 0)
    alone = sum(tokens_trained(RECIPE, SHAPE, (horizon,), 0) for horizon in horizons)
    assert alone == sum(horizons)
    # The longest run, and of each shorter one the cooldown.
    assert shared == pytest.approx(529_000 + 0.25 * 330_000, rel=0.02)
