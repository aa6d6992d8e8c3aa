"""The main job from a text to a report: on trials that follow a law, and on trials that are trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tiny_study
from fake_executor import TRUE

import scalescope
from scalescope import workflow
from scalescope.errors import InputError, RunError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import read_json, read_runs
from scalescope.reports import Contents


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return tiny_study.write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def simulated(monkeypatch):
    return tiny_study.simulate(monkeypatch)


@pytest.fixture
def study(simulated, text, tmp_path):
    def call(**options):
        given = {"out": tmp_path / "out", "budget": tiny_study.BUDGET, "context": tiny_study.CONTEXT}
        return workflow.study(str(text), **(given | options))

    return call


@dataclass(frozen=True)
class Finished:
    """A study on simulated trials: its folder, what it returned and what it told."""

    folder: Path
    contents: Contents
    told: list[workflow.Progress]


@pytest.fixture(scope="module")
def finished(text, tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("finished") / "out", []
    with pytest.MonkeyPatch.context() as patch:
        tiny_study.simulate(patch, noise=1e-4)
        given = {"budget": tiny_study.BUDGET, "context": tiny_study.CONTEXT, "seed": 3}
        contents = workflow.study(str(text), out=folder, watch=told.append, **given)
    return Finished(folder, contents, told)


class TestSimulated:
    def test_finds_the_law_that_made_the_losses_and_forecasts_the_held_out_rung(self, finished):
        contents = finished.contents
        fit = contents.fits["chinchilla"]
        runs = contents.runs
        wanted = [
            TRUE["E"] + TRUE["A"] * N ** -TRUE["alpha"] + TRUE["B"] * D ** -TRUE["beta"]
            for N, D in zip(runs.size, runs.tokens, strict=True)
        ]
        np.testing.assert_allclose(fit.value(N=runs.size, D=runs.tokens), wanted, rtol=0.01)
        one = next(one for one in contents.forecasts if one.law == "chinchilla")
        assert one.measured == pytest.approx(one.loss.value, rel=0.01)

    def test_the_held_out_rung_is_trained_after_its_forecasts_and_fitted_by_none(self, finished):
        contents = finished.contents
        grid = contents.runs.select(~contents.runs.held_out)
        held_out = contents.runs.select(contents.runs.held_out)
        assert len(held_out) == 2
        assert held_out.compute.min() > 1.3 * grid.compute.max()
        assert all(fit.n_runs <= len(grid) for fit in contents.fits.values())
        assert {one.measured for one in contents.forecasts} == {float(held_out.loss.mean())}
        with Ledger.read(finished.folder) as ledger:
            noted = [note.created for note in ledger.notes("forecast")]
            started = [t.started for t in ledger.trials() if t.payload["phase"] == "held-out"]
        assert max(noted) <= min(started)

    def test_targets_are_what_the_plan_is_for(self, study):
        contents = study(targets=["1e15", "2e16"])
        assert [one.compute for one in contents.plan.allocations] == [1e15, 2e16]
        assert "--target 1e15 --target 2e16" in contents.command

    def test_a_kill_between_forecasts_and_rung_leaves_no_forecast_twice(self, study, tmp_path):
        first = study()
        with Ledger.open(tmp_path / "out") as ledger:
            for note in ledger.notes("forecast"):
                ledger.note("forecast", note.data)
        again = study()
        assert [(one.law, one.tokens) for one in again.forecasts] == [
            (one.law, one.tokens) for one in first.forecasts
        ]

    def test_trials_that_fail_are_findings_and_the_rest_is_fitted(self, study, simulated):
        simulated.failing = {"d24-L2-s0"}
        contents = study()
        (finding,) = [one for one in contents.findings if one.code == "STU010"]
        assert "d24-L2-s0" in finding.text
        assert "diverged" in finding.text
        assert "d24-L2-s0" not in contents.runs.names

    def test_a_study_in_which_every_trial_fails_says_why(self, study, simulated):
        class All(set):
            def __contains__(self, name):
                return not name.startswith("tune")

        simulated.failing = All()
        with pytest.raises(RunError, match="no trial gave a point: DivergedError") as caught:
            study()
        assert caught.value.hint

    def test_progress_goes_through_the_phases_and_tells_the_design_once(self, finished):
        told = finished.told
        phases = list(dict.fromkeys(progress.phase for progress in told))
        assert phases == ["tune", "grid", "held-out", "report"]
        assert [progress.notice.split(":")[0] for progress in told if progress.notice] == ["isoflop design"]
        for phase in ("tune", "grid", "held-out"):
            shares = [one.share_done for one in told if one.phase == phase and not one.notice]
            assert shares[-1] == 1.0
            assert shares == sorted(shares)

    def test_the_command_repeats_the_study(self, finished, text):
        assert finished.contents.command == (
            f"scalescope study {text} --budget {tiny_study.BUDGET} --context {tiny_study.CONTEXT} --seed 3"
        )

    def test_a_suggestion_names_the_best_first(self, finished):
        ranked = workflow.suggest(finished.folder, target=1e16)
        assert ranked
        gains = [run.gain_per_flop for run in ranked]
        assert gains == sorted(gains, reverse=True)

    @pytest.mark.parametrize(
        "options", [{"design": "spiral"}, {"precision": "fp8"}, {"executor": "cloud"}, {"seed": -1}]
    )
    def test_an_option_that_does_not_exist_is_refused(self, text, tmp_path, options):
        with pytest.raises(InputError):
            workflow.study(str(text), out=tmp_path / "out", **options)


@pytest.mark.xdist_group("trained")
@pytest.mark.torch
@pytest.mark.slow
class TestTrained:
    def test_ends_with_a_report_of_its_runs(self, trained):
        contents = trained.contents
        assert Contents.from_dict(read_json(trained.folder / "report.json")).headline == contents.headline
        page = (trained.folder / "report.html").read_text()
        assert "held-out" in page.lower()
        again = read_runs(trained.folder / "runs.csv")
        np.testing.assert_allclose(again.loss, contents.runs.loss)
        with Ledger.read(trained.folder) as ledger:
            n_trials = sum(trial.payload["phase"] != "tune" for trial in ledger.trials("done"))
        assert len(contents.curves) == n_trials

    def test_larger_budgets_reach_lower_losses(self, trained):
        runs = trained.contents.runs
        best = [runs.loss[runs["budget"] == budget].min() for budget in sorted(set(runs["budget"]))]
        assert best == sorted(best, reverse=True)
        assert runs.loss.max() < np.log(256)

    def test_the_forecast_is_older_than_the_start_of_the_held_out_trial(self, trained):
        with Ledger.read(trained.folder) as ledger:
            noted = [note.created for note in ledger.notes("forecast")]
            started = [t.started for t in ledger.trials() if t.payload["phase"] == "held-out"]
        assert noted
        assert len(started) == 2
        assert max(noted) < min(started)
        assert all(one.measured is not None for one in trained.contents.forecasts)

    def test_every_point_says_what_it_took(self, trained):
        runs = trained.contents.runs
        assert (runs["seconds"] > 0).all()
        assert (runs["tokens_per_second"] > 100).all()
        assert (runs["loss_stderr"] > 0).all()
        assert (runs["compute_exact"] > runs.compute * 0.7).all()
        np.testing.assert_allclose(runs["bits_per_byte"], runs.loss / np.log(2), rtol=0.02)

    def test_the_same_seed_gives_equal_losses(self, trained, tmp_path):
        from scalescope.corpora.corpus import open_corpus
        from scalescope.executors import LocalExecutor
        from scalescope.studies.driver import Driver, Planned

        with Ledger.read(trained.folder) as ledger:
            kept = [t for t in ledger.trials("done") if t.key.startswith(("d24", "d20"))][:2]
        planned = [Planned.from_payload(trial.key, trial.payload) for trial in kept]
        corpus = open_corpus(trained.folder / "corpus")
        with LocalExecutor(1) as executor, Ledger.open(tmp_path / "again") as ledger:
            Driver(ledger, executor, corpus, tiny_study.MACHINE, lambda _: None).run(planned)
            again = {point.key: point.data["loss"] for point in ledger.points()}
        assert again == {key: trained.losses[key] for key in again}
        assert len(again) == sum(len(item.budgets) for item in planned)

    def test_the_front_door_is_the_workflow(self):
        assert scalescope.study is workflow.study
