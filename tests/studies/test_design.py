from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.studies import design as room
from scalescope.studies.choosing import LAYOUTS, choose_design
from scalescope.studies.design import (
    Design,
    expected_size,
    lay_isoflop,
    len_steps,
    lowest_compute,
)
from scalescope.studies.sizes import Sizes
from scalescope.training.recipe import Recipe, steps_to
from scalescope.units import format_flop, format_seconds, parse_flop, parse_seconds

RECIPE = Recipe()
EVALUATION = 131_072

kinds = st.sampled_from(["isoflop", "ladder"])
vocabularies = st.sampled_from([256, 1024, 8192, 32_000])


def flop(design):
    return design.cost(
        lambda shape: 1 / (6 * shape.params_matmul), RECIPE, evaluation_tokens=EVALUATION, held_out_seeds=2
    )


def seconds(design):
    """On a machine of 5 GFLOP/s that is slow on small shapes."""
    return design.cost(
        lambda shape: min(1e5, 5e9 / (6 * shape.params_matmul)),
        RECIPE,
        evaluation_tokens=EVALUATION,
        held_out_seeds=2,
    )


COSTS = {"flop": flop, "seconds": seconds}


def choose(kind, cost, available, vocabulary, show=str, **options):
    return choose_design(
        kind,
        cost=cost,
        available=available,
        sizes=Sizes(vocabulary=vocabulary, context=128),
        recipe=RECIPE,
        show=show,
        **options,
    )


@pytest.fixture(scope="module")
def least():
    """What the smallest grid costs, by kind, unit and vocabulary."""

    def of(kind, unit, vocabulary):
        with pytest.raises(InputError) as caught:
            choose(kind, COSTS[unit], 1e-9, vocabulary, show=repr)
        return float(str(caught.value).rsplit(" ", 1)[1])

    return of


def any_design(test):
    """Try a test on designs of every kind, for budgets from the smallest that works to 10,000 times that."""
    units = st.sampled_from(list(COSTS))
    tried = given(kind=kinds, unit=units, vocabulary=vocabularies, factor=st.floats(1.0, 1e4))
    return settings(max_examples=20, deadline=None)(tried(test))


class TestEveryDesign:
    @any_design
    def test_costs_no_more_than_there_is_and_uses_most_of_it(self, least, kind, unit, vocabulary, factor):
        available = least(kind, unit, vocabulary) * factor
        cost = COSTS[unit](choose(kind, COSTS[unit], available, vocabulary))
        assert cost <= available
        # The sizes of a ladder come from a list with gaps, and its cost goes with the square of the size.
        assert cost > {"isoflop": 0.7, "ladder": 0.25}[kind] * available

    @any_design
    def test_has_trials_of_different_names_with_ascending_horizons(
        self, least, kind, unit, vocabulary, factor
    ):
        design = choose(kind, COSTS[unit], least(kind, unit, vocabulary) * factor, vocabulary)
        names = [rung.name for rung in design.rungs]
        assert len(set(names)) == len(names)
        for rung in design.rungs:
            assert list(rung.horizons) == sorted(set(rung.horizons))
            assert len(rung.horizons) == len(rung.budgets)
            assert all(horizon % design.context == 0 for horizon in rung.horizons)
            assert rung.first_horizon == rung.horizons[0]

    @any_design
    def test_trains_as_many_tokens_as_its_budgets_say(self, least, kind, unit, vocabulary, factor):
        design = choose(kind, COSTS[unit], least(kind, unit, vocabulary) * factor, vocabulary)
        for rung in design.rungs:
            for horizon, budget in zip(rung.horizons, rung.budgets, strict=True):
                assert 6 * rung.shape.params_matmul * horizon == pytest.approx(budget, rel=0.03)

    @any_design
    def test_holds_out_a_rung_beyond_all_others(self, least, kind, unit, vocabulary, factor):
        design = choose(kind, COSTS[unit], least(kind, unit, vocabulary) * factor, vocabulary)
        dearest = max(rung.compute for rung in design.rungs)
        assert design.held_out_compute > 1.3 * dearest
        assert design.most_tokens >= max(rung.horizons[-1] for rung in design.rungs)

    @any_design
    def test_repeats_cheap_points_with_another_seed(self, least, kind, unit, vocabulary, factor):
        design = choose(kind, COSTS[unit], 3 * least(kind, unit, vocabulary) * factor, vocabulary)
        again = [rung for rung in design.rungs if rung.seed == 1]
        points = {
            (rung.shape, horizon) for rung in design.rungs if rung.seed == 0 for horizon in rung.horizons
        }
        assert again
        assert all((rung.shape, horizon) in points for rung in again for horizon in rung.horizons)
        extra = sum(rung.compute for rung in again)
        assert extra < 0.35 * sum(rung.compute for rung in design.rungs)

    @any_design
    def test_comes_back_from_json(self, least, kind, unit, vocabulary, factor):
        design = choose(kind, COSTS[unit], least(kind, unit, vocabulary) * factor, vocabulary)
        assert Design.from_dict(json.loads(json.dumps(design.to_dict()))) == design


@given(vocabulary=vocabularies, unit=st.sampled_from(list(COSTS)), factor=st.floats(1.0, 1e4))
@settings(max_examples=25, deadline=None)
def test_every_budget_has_five_sizes_with_the_expected_optimum_between(least, vocabulary, unit, factor):
    design = choose("isoflop", COSTS[unit], least("isoflop", unit, vocabulary) * factor, vocabulary)
    for budget in design.budgets:
        sizes = {rung.shape.params_matmul for rung in design.rungs if budget in rung.budgets}
        assert len(sizes) >= 5
        assert sum(size < expected_size(budget) for size in sizes) >= 2
        assert sum(size > expected_size(budget) for size in sizes) >= 2


@given(vocabulary=vocabularies, factor=st.floats(1.0, 30.0))
@settings(max_examples=15, deadline=None)
def test_no_point_of_a_grid_has_too_few_steps(vocabulary, factor):
    lowest = lowest_compute(Sizes(vocabulary=vocabulary, context=128), RECIPE) * factor
    design = lay_isoflop(
        lowest, n_budgets=3, sizes=Sizes(vocabulary=vocabulary, context=128), seeds=1, seed=0
    )
    for rung in design.rungs:
        steps = len(steps_to(RECIPE, 128, 0, rung.horizons[0]))
        assert steps > 0.6 * room.MIN_STEPS


@given(kind=kinds, vocabulary=vocabularies)
@settings(max_examples=8, deadline=None)
def test_the_budget_that_a_refusal_names_works_and_a_tenth_less_does_not(kind, vocabulary):
    for cost, show, parse in ((flop, format_flop, parse_flop), (seconds, format_seconds, parse_seconds)):
        with pytest.raises(InputError, match="too small for any grid") as caught:
            choose(kind, cost, 1.0, vocabulary, show=show)
        named = parse(re.search(r"about (.+)$", str(caught.value))[1])
        assume(cost is flop or named < 3600)  # above an hour the text is rounded to minutes, above a day more
        assert choose(kind, cost, named, vocabulary).n_points > 0
        with pytest.raises(InputError):
            choose(kind, cost, 0.9 * named, vocabulary)


@given(tokens=st.floats(3e4, 3e7))
@settings(max_examples=30)
def test_the_number_of_steps_is_estimated_to_within_a_fifth(tokens):
    exact = len(steps_to(RECIPE, 128, 0, tokens))
    assert len_steps(RECIPE, tokens, 128) == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_more_to_spend_means_dearer_budgets(kind):
    designs = [choose(kind, flop, 6e12 * 4**k, 256) for k in range(6)]
    dearest = [max(design.budgets) for design in designs]
    assert dearest == sorted(dearest)
    assert len(set(dearest)) == len(dearest)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_seed_is_that_of_the_trials(kind):
    design = choose(kind, flop, 1e14, 256, seed=5)
    assert {rung.seed for rung in design.rungs} == {5, 6}


def test_a_ladder_has_the_same_tokens_per_parameter_at_every_size():
    design = choose("ladder", flop, 1e14, 256)
    for rung in design.rungs:
        if rung.seed == 0:
            ratios = [horizon / rung.shape.params_matmul for horizon in rung.horizons]
            assert ratios == pytest.approx(room.LADDER_TOKENS_PER_PARAM, rel=0.02)


def test_the_summary_shows_every_trial_and_what_is_held_out():
    design = choose("isoflop", flop, 1e14, 256)
    lines = design.summary().splitlines()
    assert lines[0] == f"isoflop design: {len(design.rungs)} trials, {design.n_points} points"
    for rung, line in zip(design.rungs, lines[2:], strict=False):
        assert line.split()[0] == rung.name
        assert len(line.split()) == 2 + len(rung.horizons)
    assert "held out" in lines[-1]
    assert max(map(len, lines)) <= 110
