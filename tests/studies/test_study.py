from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest
from fake_executor import FakeExecutor

from scalescope.errors import InputError
from scalescope.studies.collect import GRID, HELD_OUT, TUNE
from scalescope.studies.design import expected_size
from scalescope.studies.opening import open_study
from scalescope.studies.settings import Settings
from scalescope.studies.study import RESERVE_SECONDS
from scalescope.units import parse_budget, parse_flop, parse_seconds


@pytest.fixture
def opened(tmp_path, executor, corpus, monkeypatch):
    """Open a study with some text and a simulated machine."""

    @contextmanager
    def opening(budget="3e14", *, executor=executor, corpus=corpus, extend=False, **settings):
        monkeypatch.setattr("scalescope.studies.data.prepare_corpus", lambda *args, **options: corpus)
        study = open_study(
            tmp_path / "study",
            Settings(budget=parse_budget(budget), **settings),
            executor,
            source=None,
            tokenizer=None,
            text_column="text",
            extend=extend,
        )
        with study.ledger:
            yield study

    return opening


def run(study):
    """Run all of a study; the rung to hold out is the one that the design expects."""
    prepared = design, ready = study.prepare()
    study.grid(*prepared)
    if study.ledger.meta("held_out") is None:
        compute = study.held_out_compute(*prepared)
        shape = design.held_out_guess()
        horizon = round(compute / (6 * shape.params_matmul))
        rung = {"shape": msgspec.to_builtins(shape), "horizon": horizon, "compute": compute}
        study.ledger.set_meta("held_out", rung)
    study.held_out(ready)
    return design


def keys(study):
    return {point.key for point in study.ledger.points()}


class TestGoingOn:
    def test_a_finished_study_trains_nothing_again(self, opened, clock):
        with opened() as study:
            run(study)
            before = study.ledger.points()
        again = FakeExecutor(clock)
        with opened(executor=again) as study:
            run(study)
            assert study.ledger.points() == before
        assert again.started == []

    @pytest.mark.parametrize("after", [2, 6, 30])
    def test_an_interrupted_study_ends_with_the_points_of_an_undisturbed_one(
        self, opened, executor, clock, after, tmp_path
    ):
        executor.stop_after = after
        with opened() as study, pytest.raises(KeyboardInterrupt):
            run(study)
        again = FakeExecutor(clock)
        with opened(executor=again) as study:
            assert len(study.ledger.points()) == after
            run(study)
            resumed = {point.key: point.data for point in study.ledger.points()}
        (tmp_path / "study").rename(tmp_path / "resumed")
        with opened(executor=FakeExecutor(clock)) as study:
            run(study)
            assert {point.key: point.data for point in study.ledger.points()} == resumed

    def test_the_time_of_earlier_sessions_counts(self, opened, executor, clock):
        executor.stop_after = 10
        with opened("1h") as study, pytest.raises(KeyboardInterrupt):
            run(study)
        with opened("1h", executor=FakeExecutor(clock)) as study:
            spent = study.seconds_spent
            assert spent > 60
            clock.now += 5
            assert study.seconds_spent == spent + 5

    def test_the_machine_is_measured_once_and_again_where_the_cores_differ(self, opened, executor, clock):
        with opened() as study:
            study.prepare()
        assert any(key.startswith("speed") for key in executor.started)
        for slots, measures in ((2, False), (4, True)):
            again = FakeExecutor(clock, slots=slots)
            with opened(executor=again) as study:
                study.prepare()
            assert any(key.startswith("speed") for key in again.started) is measures


class TestAnotherDesign:
    def test_another_budget_is_refused_with_what_to_do(self, opened):
        with opened() as study:
            run(study)
        with pytest.raises(InputError, match=r"design\.budget\.flop") as caught, opened("9e14"):
            pass
        assert "--extend" in caught.value.hint

    def test_extending_adds_points_and_keeps_the_old(self, opened, clock):
        with opened() as study:
            first = run(study)
            before = {point.key: point.data for point in study.ledger.points()}
            old = study.runs()
        again = FakeExecutor(clock)
        with opened("9e14", executor=again, extend=True) as study:
            second = run(study)
            after = {point.key: point.data for point in study.ledger.points()}
            runs = study.runs()
            assert study.ledger.meta("held_out")["compute"] == second.held_out_compute
        assert before.items() <= after.items()
        assert len(runs) == len(old) + second.n_points + 2
        assert set(runs["budget"][~runs.held_out]) == set(first.budgets) | set(second.budgets)
        assert runs.held_out.sum() == 4
        assert not any(trial.name.startswith("tune") for trial in again.trained)

    def test_an_extension_that_is_interrupted_goes_on(self, opened, clock):
        with opened() as study:
            run(study)
            n_before = len(study.ledger.points())
        stopping = FakeExecutor(clock, stop_after=9)
        with opened("9e14", executor=stopping, extend=True) as study, pytest.raises(KeyboardInterrupt):
            run(study)
        last = FakeExecutor(clock)
        with opened("9e14", executor=last, extend=True) as study:
            assert len(study.ledger.points()) == n_before + 9
            design = run(study)
            assert len(study.ledger.points()) == n_before + design.n_points + 2

    def test_a_kill_right_after_the_extension_was_claimed_does_not_undo_it(self, opened, clock):
        with opened() as study:
            first = run(study)
        with opened("9e14", extend=True) as study:
            study.ledger.set_meta("design", first.to_dict())  # as if it had died before it was cleared
        with opened("9e14", extend=True, executor=FakeExecutor(clock)) as study:
            assert study.prepare()[0].held_out_compute > 2 * first.held_out_compute

    def test_another_seed_is_another_study(self, opened):
        with opened() as study:
            run(study)
        other = opened(seed=1, extend=True)
        with pytest.raises(InputError, match=r"settings\.seed is 0 there and 1 here") as caught, other:
            pass
        assert "--out" in caught.value.hint

    def test_a_budget_that_was_refused_does_not_bind_the_folder(self, opened):
        with opened("1e9") as study, pytest.raises(InputError, match="too small"):
            study.prepare()
        with opened("3e14") as study:
            assert study.prepare()[0].n_points > 20


class TestBudget:
    @pytest.mark.parametrize("kind", ["isoflop", "ladder"])
    @pytest.mark.parametrize("factor", [0.8, 1.0, 1.4, 2.0])
    def test_of_time_is_kept_within_a_fifth_at_any_speed(self, opened, executor, clock, kind, factor):
        executor.slowdown = lambda now: factor
        self.check(opened, clock, kind, least=0.6)

    @pytest.mark.parametrize("kind", ["isoflop", "ladder"])
    @pytest.mark.parametrize("when", [0.2, 0.5, 0.8])
    def test_of_time_is_kept_when_the_machine_slows_in_the_middle(self, opened, executor, clock, kind, when):
        began = clock.now
        executor.slowdown = lambda now: 1.0 if now < began + when * 600 else 2.0
        self.check(opened, clock, kind, least=0.6)

    def check(self, opened, clock, kind, least):
        began = clock.now
        with opened("10m", design=kind) as study:
            run(study)
        took = clock.now - began + RESERVE_SECONDS
        assert least * 600 < took < 1.2 * 600

    def test_of_compute_is_not_exceeded(self, opened, executor):
        with opened("3e14") as study:
            run(study)
        spent = sum(
            6 * trial.shape.params_matmul * trial.horizons[-1] for trial in executor.trained
        )  # the cooled-down branches are counted by the design, not here
        assert 0.4 * 3e14 < spent < 3e14

    @pytest.mark.parametrize(("budget", "parse"), [("1e10", parse_flop), ("20s", parse_seconds)])
    def test_that_is_too_small_names_one_that_works(self, opened, budget, parse):
        with opened(budget) as study, pytest.raises(InputError, match="too small") as caught:
            study.prepare()
        named = str(caught.value).rsplit("about ", 1)[1]
        assert parse(named) > parse(budget)
        with opened(named) as study:
            assert len(run(study).budgets) >= 3
            assert {point.data["phase"] for point in study.ledger.points()} == {TUNE, GRID, HELD_OUT}

    def test_a_draft_says_what_the_study_then_costs(self, opened, clock):
        with opened("10m") as study:
            design, words = study.draft()
            began = clock.now
            prepared = study.prepare()
            study.grid(*prepared)
        assert "2 trials side by side" in words
        assert parse_seconds(words.split("about ")[1].split(" on ")[0]) < 620
        assert clock.now - began < 600
        assert [rung.shape for rung in design.rungs][:3] == [rung.shape for rung in prepared[0].rungs][:3]


class TestCorpus:
    def test_that_is_too_small_says_how_often_it_would_be_read(self, opened, corpus):
        wanted = r"300k training tokens.*: [0-9.]+ epochs"
        with (
            opened("3e14", corpus=replace(corpus, train_tokens=300_000)) as study,
            pytest.raises(InputError, match=wanted) as caught,
        ):
            study.prepare()
        assert "4 epochs" in caught.value.hint

    def test_that_is_read_more_than_once_is_told(self, opened, corpus):
        with opened("3e14") as study:
            most = study.prepare()[0].most_tokens
        with opened("3e14", corpus=replace(corpus, train_tokens=most // 2)) as study:
            run(study)
            assert "STU006" in {finding.code for finding in study.findings()}


def test_trials_that_reach_the_dearest_budget_come_last_and_from_the_optimum_outwards(opened, executor):
    with opened() as study:
        design, ready = study.prepare()
        planned = ready.planned(design)
    dearest = [item.budgets[-1] == max(design.budgets) for item in planned]
    assert dearest == sorted(dearest)
    ratios = [
        max(ratio, 1 / ratio)
        for item in planned
        if item.budgets[-1] == max(design.budgets)
        for ratio in [item.trial.shape.params_matmul / expected_size(item.budgets[-1])]
    ]
    assert ratios == sorted(ratios)
    assert len(ratios) >= 5


def test_the_time_left_falls_to_nothing_over_all_phases(opened):
    told = []
    with opened() as study:
        study.watch = told.append
        run(study)
    grid = [status.seconds_left for status in told if status.phase == GRID]
    held_out = [status.seconds_left for status in told if status.phase == HELD_OUT]
    assert grid[-1] == pytest.approx(held_out[0], rel=0.1)
    assert held_out[-1] == 0
    assert grid[0] > 2 * grid[-1]


def test_the_facts_say_how_it_was_made(opened):
    with opened() as study:
        run(study)
        facts = study.facts(*study.prepare())
    assert "isoflop" in facts["Design"]
    assert all(isinstance(value, str) for value in facts.values())
