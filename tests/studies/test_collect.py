from __future__ import annotations

import numpy as np
import pytest
from fake_executor import planned_of

from scalescope.errors import InputError
from scalescope.points import Finding, read_runs, write_runs
from scalescope.studies.collect import (
    ENERGY,
    HELD_OUT,
    TUNE,
    collect_curves,
    collect_energy,
    collect_findings,
    collect_runs,
    told_energy,
)
from scalescope.studies.design import lay_isoflop
from scalescope.studies.driver import Driver
from scalescope.studies.sizes import Sizes


@pytest.fixture
def planned():
    return planned_of(
        lay_isoflop(1e12, n_budgets=3, sizes=Sizes(vocabulary=256, context=128), seeds=2, seed=0)
    )


@pytest.fixture
def studied(ledger, executor, corpus, machine, planned):
    """A ledger with a grid, a trial of tuning and a held-out rung."""
    from dataclasses import replace

    driver = Driver(ledger, executor, corpus, machine, lambda _: None)
    driver.run([replace(planned[0], key="tune-1", phase=TUNE)])
    driver.run(planned)
    driver.run([replace(planned[-1], key="held-out", phase=HELD_OUT)])
    return ledger


def test_runs_are_all_points_but_those_of_tuning(studied, planned):
    runs = collect_runs(studied)
    n_grid = sum(len(item.budgets) for item in planned)
    n_held_out = len(planned[-1].budgets)
    assert len(runs) == n_grid + n_held_out
    assert runs.held_out.sum() == n_held_out


def test_runs_come_cheapest_first_with_the_held_out_ones_last(studied):
    runs = collect_runs(studied)
    order = list(zip(runs.held_out, runs["budget"], runs["params_matmul"], runs["seed"], strict=True))
    assert order == sorted(order)


def test_runs_count_blocks_and_head_and_know_their_corpus(studied):
    runs = collect_runs(studied)
    assert runs.count == "params_matmul"
    assert runs.provenance.digest == "3f2a"
    np.testing.assert_array_equal(runs.size, runs["params_matmul"])
    np.testing.assert_allclose(runs.compute, 6 * runs.size * runs.tokens)


def test_tokens_that_were_read_twice_are_counted_once(ledger, executor, corpus, machine, planned):
    from dataclasses import replace

    small = replace(corpus, train_tokens=200_000)
    Driver(ledger, executor, small, machine, lambda _: None).run(planned)
    runs = collect_runs(ledger)
    np.testing.assert_array_equal(runs["tokens_unique"], np.minimum(runs.tokens, 200_000))
    assert runs.tokens.max() > 200_000


def test_runs_survive_being_written_and_read(studied, tmp_path):
    runs = collect_runs(studied)
    for name in ("runs.csv", "runs.json"):
        again = read_runs(write_runs(runs, tmp_path / name))
        np.testing.assert_allclose(again.loss, runs.loss)
        np.testing.assert_array_equal(again.held_out, runs.held_out)
        assert again.names == runs.names


def test_a_study_without_runs_says_so(ledger):
    with pytest.raises(InputError, match="no run is recorded") as caught:
        collect_runs(ledger)
    assert "scalescope study" in caught.value.hint


def test_curves_are_those_of_the_grid_and_of_the_held_out_rung(studied, planned):
    curves = collect_curves(studied)
    assert len(curves) == len(planned) + 1
    assert [curve["held_out"] for curve in curves].count(True) == 1
    assert all(curve["params"] > 0 and len(curve["tokens"]) == len(curve["loss"]) for curve in curves)


def test_energy_is_summed_by_who_says_so_and_older_ledgers_have_none(studied):
    assert "energy_j" not in collect_runs(studied)
    assert collect_energy(studied) == ()
    assert "not metered" in told_energy(studied)
    keys = [trial.key for trial in studied.trials("done")]
    for key, joules, source in zip(keys, (1e6, 2.6e6, 5e5), ("RAPL", "RAPL", "stated"), strict=False):
        studied.note(ENERGY, {"trial": key, "joules": joules, "source": source})
    counted, stated = collect_energy(studied, "France")
    assert (counted.joules, counted.source) == (3.6e6, "RAPL")
    assert counted.grams == pytest.approx(84.82)
    assert counted.grid == "France 2022"
    assert stated.joules == 5e5
    told = told_energy(studied, "France")
    assert told.startswith("1 kWh (RAPL), 84.8 g CO2e (France 2022); 139 Wh (stated)")
    assert told.endswith(f"3 of {len(keys)} trials")


def test_energy_of_some_points_is_a_gap_in_the_others(studied):
    key = studied.points()[-1].trial
    data = studied.points()[-1].data | {"energy_j": 12.5}
    studied.record_point(key, "with energy", data)
    column = collect_runs(studied)["energy_j"]
    assert np.nansum(column) == 12.5
    assert np.isnan(column).sum() == len(column) - 1


def test_findings_name_every_trial_that_came_to_nothing(ledger, executor, corpus, machine, planned):
    executor.failing = {planned[0].trial.name}
    executor.dying = {planned[1].trial.name: 9}
    Driver(ledger, executor, corpus, machine, lambda _: None).run(planned)
    ledger.record_finding(Finding(code="STU005", text="Something else."))
    first, *trials = collect_findings(ledger)
    assert first.code == "STU005"
    assert [finding.code for finding in trials] == ["STU010", "STU010"]
    assert planned[0].key in trials[0].text
    assert "diverged" in trials[0].text
    assert "was lost" in trials[1].text
    assert "SIGKILL" in trials[1].text
