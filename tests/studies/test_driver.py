from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from fake_executor import EVALUATION, FakeExecutor, planned_of, speed

from scalescope.cost.layout import Layout
from scalescope.executors import Event
from scalescope.studies.design import expected_size, lay_isoflop
from scalescope.studies.driver import MAX_ATTEMPTS, SPREAD, TRIAL, Driver, Planned
from scalescope.studies.sizes import Sizes
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe

SIZES = Sizes(vocabulary=256, context=128)


@pytest.fixture
def planned():
    return planned_of(lay_isoflop(1e12, n_budgets=4, sizes=SIZES, seeds=2, seed=0))


@pytest.fixture
def driver(ledger, corpus, machine, statuses):
    def make(executor, watch=statuses.watch):
        return Driver(ledger, executor, corpus, machine, watch)

    return make


def core_seconds(planned):
    return sum(
        tokens_trained(Recipe(), item.trial.shape, item.trial.horizons, EVALUATION) / speed(item.trial.shape)
        for item in planned
    )


def measured(ledger):
    return {(point.data["name"], point.data["budget"]): point.data["loss"] for point in ledger.points()}


def wanted(planned):
    return {(item.trial.name, budget) for item in planned for budget in item.budgets}


def sizes_at(ledger, budget):
    rows = [point.data for point in ledger.points() if point.data["budget"] == budget]
    return {row["params_matmul"] for row in rows}


class TestRunning:
    def test_a_trial_of_several_processes_takes_as_many_slots(self, driver, executor, ledger, planned):
        sent, most, submit = [], [], executor.submit
        layout = Layout(fsdp=2)
        spread = [replace(item, trial=replace(item.trial, layout=layout)) for item in planned[:6]]

        def watched(task):
            sent.append((task.processes, task.function))
            most.append(sum(item.trial.layout.devices for item in made.running.values()))
            submit(task)

        executor.submit = watched
        made = driver(executor)
        made.run([*spread[:3], *planned[6:9], *spread[3:]])
        assert sorted(set(sent)) == [(1, TRIAL), (2, SPREAD)]
        assert max(most) == made.machine.slots == 2
        assert {trial.state for trial in ledger.trials()} == {"done"}
        assert made.pace.slowdown == pytest.approx(2.0, rel=0.2)

    def test_makes_every_point_once_in_the_order_given(self, driver, executor, ledger, planned):
        driver(executor).run(planned)
        assert executor.started == [item.key for item in planned]
        assert set(measured(ledger)) == wanted(planned)
        assert len(ledger.points()) == len(wanted(planned))
        assert {trial.state for trial in ledger.trials()} == {"done"}
        assert set(ledger.curves()) == {item.key for item in planned}
        assert ledger.findings() == ()

    def test_without_a_deadline_no_trial_has_a_limit(self, driver, executor, planned):
        driver(executor).run(planned)
        assert {trial.seconds for trial in executor.trained} == {math.inf}

    def test_a_phase_that_is_done_is_not_run_again(self, driver, executor, ledger, planned, clock):
        driver(executor).run(planned)
        before = ledger.points()
        again = FakeExecutor(clock)
        driver(again).run(planned)
        assert again.started == []
        assert ledger.points() == before

    def test_the_points_do_not_depend_on_how_many_trials_run_side_by_side(
        self, driver, ledger, planned, clock, tmp_path, corpus, machine
    ):
        from scalescope.ledgers.ledger import Ledger

        driver(FakeExecutor(clock, slots=1)).run(planned)
        with Ledger.open(tmp_path / "other") as other:
            wide = Driver(
                other, FakeExecutor(clock, slots=7), corpus, replace(machine, slots=7), lambda _: None
            )
            wide.run(planned)
            assert measured(other) == measured(ledger)

    def test_an_event_of_an_unknown_trial_is_ignored(self, driver, executor, ledger, planned):
        one = driver(executor)
        one._handle(Event(key="stranger", kind="done", data={"curve": {}, "cut": []}))
        one.run(planned[:1])
        assert {point.trial for point in ledger.points()} == {planned[0].key}

    def test_the_status_counts_up_to_all_points_and_the_time_left_to_zero(
        self, driver, executor, planned, statuses
    ):
        driver(executor).run(planned)
        done = [status.n_done for status in statuses.all]
        assert done == sorted(done)
        assert all(status.n_done + status.n_left >= len(wanted(planned)) for status in statuses.all)
        last = statuses.all[-1]
        assert (last.n_done, last.n_left, last.n_running) == (len(wanted(planned)), 0, 0)
        assert last.core_seconds_left == 0
        assert last.core_seconds_done == pytest.approx(core_seconds(planned), rel=0.05)
        assert last.slowdown == pytest.approx(1.0, abs=0.05)
        assert "loss" in last.last

    def test_the_time_that_is_told_at_first_is_about_what_it_takes(
        self, driver, executor, planned, statuses, clock
    ):
        began = clock.now
        driver(executor).run(planned)
        assert statuses.all[0].seconds_left == pytest.approx(clock.now - began, rel=0.1)


class TestFailures:
    def test_are_recorded_with_their_cause_and_the_rest_goes_on(self, driver, executor, ledger, planned):
        bad = planned[2]
        executor.failing = {bad.trial.name}
        driver(executor).run(planned)
        (failed,) = ledger.trials("failed")
        assert failed.key == bad.key
        assert failed.cause.startswith("DivergedError: diverged: loss nan")
        assert set(measured(ledger)) == wanted(planned) - wanted([bad])
        assert executor.started.count(bad.key) == 1

    def test_are_not_tried_again_by_the_same_command(self, driver, executor, ledger, planned, clock):
        executor.failing = {planned[0].trial.name}
        driver(executor).run(planned)
        again = FakeExecutor(clock)
        driver(again).run(planned)
        assert again.started == []

    def test_of_workers_are_tried_again_and_no_point_is_lost_or_doubled(
        self, driver, executor, ledger, planned
    ):
        executor.dying = {planned[1].trial.name: 1, planned[4].trial.name: 2}
        driver(executor).run(planned)
        attempts = {trial.key: trial.attempts for trial in ledger.trials()}
        assert (attempts[planned[1].key], attempts[planned[4].key]) == (2, 3)
        assert {trial.state for trial in ledger.trials()} == {"done"}
        assert set(measured(ledger)) == wanted(planned)
        assert len(ledger.points()) == len(wanted(planned))
        assert len(ledger.events("lost")) == 3

    def test_of_workers_are_given_up_after_some_attempts(self, driver, executor, ledger, planned):
        bad = planned[3]
        executor.dying = {bad.trial.name: 99}
        driver(executor).run(planned)
        (lost,) = ledger.trials("lost")
        assert (lost.key, lost.attempts) == (bad.key, MAX_ATTEMPTS)
        assert "SIGKILL" in lost.cause
        assert set(measured(ledger)) >= wanted(planned) - wanted([bad])

    def test_of_workers_count_anew_for_the_next_command(self, driver, executor, ledger, planned, clock):
        executor.dying = {planned[0].trial.name: MAX_ATTEMPTS}
        driver(executor).run(planned[:1])
        assert ledger.reset_interrupted() == (planned[0].key,)
        driver(FakeExecutor(clock)).run(planned[:1])
        assert set(measured(ledger)) == wanted(planned[:1])


class TestInterrupting:
    @pytest.mark.parametrize("after", [0, 1, 7, 20])
    def test_keeps_what_is_recorded_and_the_next_driver_makes_only_the_rest(
        self, driver, executor, ledger, planned, clock, tmp_path, corpus, machine, after
    ):
        from scalescope.ledgers.ledger import Ledger

        executor.stop_after = after
        with pytest.raises(KeyboardInterrupt):
            driver(executor).run(planned)
        assert len(ledger.points()) == after
        assert set(executor.cancelled) == {trial.key for trial in ledger.trials("running")}
        before = measured(ledger)
        done = {trial.key for trial in ledger.trials("done")}
        ledger.reset_interrupted()
        second = FakeExecutor(clock)
        driver(second).run(planned)
        assert set(second.started) == {item.key for item in planned} - done
        with Ledger.open(tmp_path / "undisturbed") as other:
            Driver(other, FakeExecutor(clock), corpus, machine, lambda _: None).run(planned)
            assert measured(ledger) == measured(other)
        assert before.items() <= measured(ledger).items()


class TestKeepingToTheTime:
    def test_a_machine_as_fast_as_measured_gives_up_nothing(self, driver, executor, ledger, planned, clock):
        driver(executor).run(planned, deadline=clock.now + core_seconds(planned) / 2 * 1.15)
        assert set(measured(ledger)) == wanted(planned)
        assert ledger.findings() == ()

    @pytest.mark.parametrize("factor", [1.5, 2.0, 3.0])
    def test_a_slow_machine_costs_points_and_not_time(self, driver, executor, ledger, planned, clock, factor):
        executor.slowdown = lambda now: factor
        span = core_seconds(planned) / 2 * 1.06
        began = clock.now
        driver(executor).run(planned, deadline=began + span)
        assert clock.now - began <= 1.12 * span
        made = set(measured(ledger))
        assert made < wanted(planned)
        assert len(made) > 0.8 * len(wanted(planned)) / factor

    def test_what_slows_in_the_middle_is_seen(self, driver, executor, ledger, planned, clock):
        span = core_seconds(planned) / 2 * 1.06
        began = clock.now
        executor.slowdown = lambda now: 1.0 if now < began + span / 3 else 2.0
        driver(executor).run(planned, deadline=began + span)
        assert clock.now - began <= 1.12 * span
        assert set(measured(ledger)) < wanted(planned)

    def test_points_go_from_the_dearest_budget_first(self, driver, executor, ledger, planned, clock):
        executor.slowdown = lambda now: 1.6
        driver(executor).run(planned, deadline=clock.now + core_seconds(planned) / 2 * 1.06)
        budgets = sorted({budget for item in planned for budget in item.budgets})
        missing = {budget for _, budget in wanted(planned) - set(measured(ledger))}
        assert budgets[-1] in missing
        assert budgets[0] not in missing
        assert {budget for _, budget in measured(ledger)} >= set(budgets[:-1])

    def test_of_the_dearest_budget_the_sizes_around_the_optimum_stay(
        self, driver, executor, ledger, planned, clock
    ):
        executor.slowdown = lambda now: 1.25
        budget = max(budget for item in planned for budget in item.budgets)

        def order(item):  # the order in which a study hands them over
            return item.budgets[-1], abs(math.log(item.trial.shape.params_matmul / expected_size(budget)))

        planned = sorted(planned, key=order)
        driver(executor).run(planned, deadline=clock.now + core_seconds(planned) / 2 * 1.06)
        all_sizes = {item.trial.shape.params_matmul for item in planned if budget in item.budgets}
        gone = all_sizes - sizes_at(ledger, budget)
        assert gone

        def off(size):
            return abs(math.log(size / expected_size(budget)))

        assert max(off(size) for size in gone) >= max(off(size) for size in sizes_at(ledger, budget))

    def test_what_is_given_up_is_told_with_the_number_of_points_and_the_slowdown(
        self, driver, executor, ledger, planned, clock
    ):
        executor.slowdown = lambda now: 2.0
        driver(executor).run(planned, deadline=clock.now + core_seconds(planned) / 2 * 1.06)
        findings = [finding for finding in ledger.findings() if finding.code in ("STU003", "STU004")]
        told = sum(int(re.search(r"(\d+) point", finding.text)[1]) for finding in findings)
        assert told == len(wanted(planned) - set(measured(ledger)))
        assert any("slower than measured" in finding.text for finding in findings)

    def test_nothing_of_a_trial_that_was_dropped_is_trained_by_the_next_command(
        self, driver, executor, ledger, planned, clock
    ):
        executor.slowdown = lambda now: 4.0
        driver(executor).run(planned, deadline=clock.now + core_seconds(planned) / 2)
        dropped = {trial.key for trial in ledger.trials("dropped")}
        assert dropped
        again = FakeExecutor(clock)
        driver(again).run(planned)
        assert again.started == []

    def test_a_trial_knows_how_long_it_may_run(self, driver, executor, planned, clock):
        driver(executor).run(planned, deadline=clock.now + 1000.0)
        assert all(trial.seconds <= 1000.0 for trial in executor.trained)


def test_a_planned_trial_comes_back_from_the_ledger(ledger, driver, executor, planned):
    driver(executor).run(planned[:3])
    for item, kept in zip(planned, ledger.trials(), strict=False):
        assert Planned.from_payload(kept.key, kept.payload) == item
