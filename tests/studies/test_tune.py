from __future__ import annotations

import math

import pytest
from fake_executor import speed
from hypothesis import given
from hypothesis import strategies as st

from scalescope.studies.arms import Arm
from scalescope.studies.design import lay_isoflop
from scalescope.studies.driver import Driver
from scalescope.studies.making import Maker
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import Sizes
from scalescope.studies.tune import RATES, best_rate, tune, tuned_rung, tuning_cost
from scalescope.training.recipe import Recipe
from scalescope.units import Budget

SIZES = Sizes(vocabulary=256, context=128)
MAKER = Maker(settings=Settings(budget=Budget(flop=1e12)), sizes={"": SIZES})


def bowl(optimum, curvature=0.05):
    return [(rate, 2.0 + curvature * math.log(rate / optimum) ** 2) for rate in RATES]


class TestBestRate:
    @given(optimum=st.floats(0.55, 1.8), curvature=st.floats(1e-3, 1.0))
    def test_is_the_bottom_of_a_parabola_in_the_logarithm(self, optimum, curvature):
        assert best_rate(bowl(optimum, curvature)) == pytest.approx(optimum, abs=0.011)

    @pytest.mark.parametrize("optimum", [0.1, 10.0])
    def test_stays_at_the_edge_when_the_bottom_is_beyond(self, optimum):
        assert best_rate(bowl(optimum)) == (min(RATES) if optimum < 1 else max(RATES))

    @given(losses=st.lists(st.floats(0.5, 9.0), min_size=5, max_size=5))
    def test_is_never_beyond_the_rates_tried(self, losses):
        found = best_rate(list(zip(RATES, losses, strict=True)))
        assert min(RATES) <= found <= max(RATES)

    @given(losses=st.lists(st.floats(0.5, 9.0), min_size=5, max_size=5, unique=True))
    def test_lies_between_the_neighbours_of_the_best(self, losses):
        found = best_rate(list(zip(RATES, losses, strict=True)))
        lowest = losses.index(min(losses))
        assert RATES[max(lowest - 1, 0)] - 0.006 <= found <= RATES[min(lowest + 1, 4)] + 0.006

    def test_without_any_result_leaves_the_rates_alone(self):
        assert best_rate([]) == 1.0

    def test_of_two_results_is_the_better(self):
        assert best_rate([(0.63, 2.0), (1.0, 2.1)]) == 0.63


class TestTuneRate:
    @pytest.fixture
    def rung(self):
        return tuned_rung(lay_isoflop(1e11, n_budgets=3, sizes=SIZES, seeds=1, seed=0))

    @pytest.fixture
    def tuned(self, ledger, executor, corpus, machine, rung):
        def call(optimum=1.0, failing=()):
            executor.rate_optimum, executor.noise = optimum, 0.0
            executor.failing = set(failing)
            driver = Driver(ledger, executor, corpus, machine, lambda _: None)
            return tune(driver, [Arm()], [rung], MAKER.tuning)[""].recipe

        return call

    def test_the_chosen_rate_is_noted_with_all_that_were_tried(self, tuned, ledger):
        recipe = tuned(1.3)
        assert recipe.rate == pytest.approx(1.3, abs=0.02)
        (note,) = ledger.notes("rate")
        assert [rate for rate, _ in note.data["tried"]] == list(RATES)
        assert note.data["chosen"] == recipe.rate
        assert ledger.findings() == ()

    def test_a_minimum_at_the_edge_is_told(self, tuned, ledger):
        assert tuned(5.0).rate == max(RATES)
        assert [finding.code for finding in ledger.findings()] == ["STU005"]

    def test_a_rate_that_diverges_is_left_out(self, tuned, ledger):
        assert tuned(1.2, failing=["tune-2.5"]).rate == pytest.approx(1.2, abs=0.02)
        assert [trial.key for trial in ledger.trials("failed")] == ["tune-2.5"]

    def test_all_rates_share_seed_and_tokens(self, tuned, executor, rung):
        tuned()
        assert {(trial.seed, trial.horizons) for trial in executor.trained} == {(0, rung.horizons[:1])}

    def test_its_cost_is_that_of_its_trials(self, tuned, executor, rung, clock):
        began = clock.now
        tuned()
        cost = tuning_cost([rung], speed, Recipe(), MAKER.settings.evaluation_tokens)
        # Five trials on two slots take three turns.
        assert clock.now - began == pytest.approx(cost / 5 * 3, rel=0.02)
