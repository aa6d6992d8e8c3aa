"""Learning rates along a run, and what a schedule costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.studies.family import make_shape
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe
from scalescope.training.schedules import cooldown, trunk, whole

SHAPE = make_shape(32, 2, 256, 128)
FALLING = st.sampled_from(["cosine", "linear"])


@given(FALLING, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_fall_begins_at_the_peak_and_ends_at_its_floor(schedule, floor, x):
    share = whole(Recipe(schedule=schedule, floor=floor), 100.0, 1000.0)
    assert share(50) == pytest.approx(0.5)
    assert share(100) == 1
    assert share(1000) == pytest.approx(floor)
    assert floor - 1e-9 <= share(100 + 900 * x) <= 1


@given(st.floats(100.0, 1000.0), st.floats(0.0, 0.5))
def test_halfway_a_cosine_and_a_line_meet(horizon, floor):
    recipes = [Recipe(schedule=name, floor=floor) for name in ("cosine", "linear")]
    cosine, line = (whole(recipe, 10.0, horizon)((10 + horizon) / 2) for recipe in recipes)
    assert cosine == pytest.approx(line) == pytest.approx((1 + floor) / 2)


def test_a_branch_leaves_the_trunk_where_it_begins():
    branch = cooldown(Recipe(floor=0.1), 100.0, 500.0, 900.0)
    assert branch(500) == trunk(100.0)(500) == 1
    assert branch(600) == pytest.approx(0.1 + 0.9 * 0.5)
    assert branch(900) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_schedule_made_for_one_horizon_costs_a_run_for_each(schedule):
    horizons = (100_000, 230_000)
    assert tokens_trained(Recipe(schedule=schedule), SHAPE, horizons, 3000) == 330_000 + 2000


def test_a_constant_schedule_costs_its_longest_horizon():
    assert tokens_trained(Recipe(schedule="constant"), SHAPE, (100_000, 230_000), 3000) == 230_000 + 2000
