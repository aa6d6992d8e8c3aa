"""Comparing levers from a text to a report: on trials that follow a law, and on trials that are trained."""

from __future__ import annotations

import pytest
import tiny_study

from scalescope import workflow
from scalescope.errors import InputError, RunError
from scalescope.points import read_json, read_runs
from scalescope.reports.levers import LeverContents

BUDGET = "2e11"
VARY = {"optimizer": ("adamw", "muon")}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return tiny_study.write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def simulated(monkeypatch):
    executor = tiny_study.simulate(monkeypatch, noise=1e-4)
    executor.gains = lambda trial: 1.5 if trial.recipe.optimizer == "muon" else 1.0
    return executor


@pytest.fixture
def compare(simulated, text, tmp_path):
    def call(**options):
        given = {"out": tmp_path / "out", "budget": BUDGET, "context": tiny_study.CONTEXT, "vary": VARY}
        return workflow.compare_levers(str(text), **(given | options))

    return call


class TestSimulated:
    def test_finds_what_the_lever_is_worth_and_writes_all_of_it(self, compare, tmp_path, monkeypatch):
        monkeypatch.setattr("scalescope.workflow.progress.ESTIMATE_EVERY_SECONDS", 0.0)
        told = []
        contents = compare(watch=told.append)
        lever = contents.multipliers.lever("muon")
        assert lever.headline.multiplier.value == pytest.approx(1.5, rel=0.05)
        assert contents.multipliers.baseline == "adamw"
        assert contents.multipliers.noise.known
        out = tmp_path / "out"
        wanted = {"multipliers.json", "report.html", "report.json", "runs-adamw.csv", "runs-muon.csv"}
        assert wanted <= {path.name for path in out.iterdir()}
        assert (out / "fit-muon.json").exists()
        assert len(read_runs(out / "runs-muon.csv")) == len(contents.runs["muon"])
        assert LeverContents.from_dict(read_json(out / "report.json")).title == "optimizer: adamw, muon"
        phases = list(dict.fromkeys(progress.phase for progress in told))
        assert phases == ["tune", "grid", "report"]
        assert "pairs" in [progress.estimate for progress in told if progress.estimate][-1]
        assert "2 variants" in next(progress.notice for progress in told if progress.notice)

    def test_again_trains_nothing_and_says_the_same(self, compare, simulated):
        first = compare()
        n_started = len(simulated.started)
        again = compare()
        assert len(simulated.started) == n_started
        assert again.multipliers.sentence() == first.multipliers.sentence()
        assert again.command == first.command
        assert first.command.endswith("--vary optimizer=adamw,muon")

    def test_goes_on_without_a_variant_that_fails(self, compare, simulated):
        fail(simulated, "lion")
        contents = compare(vary={"optimizer": ("adamw", "muon", "lion")}, budget="3e11")
        assert set(contents.runs) == {"adamw", "muon"}
        assert "STU014" in {finding.code for finding in contents.findings}

    def test_stops_where_the_baseline_failed_or_nothing_is_left(self, compare, simulated):
        fail(simulated, "adamw")
        with pytest.raises(RunError, match="adamw gave no point, and nothing is left to compare: Diverged"):
            compare()

    def test_of_a_plain_study_is_refused_and_the_other_way_round(self, compare, simulated, text, tmp_path):
        with pytest.raises(InputError, match="nothing is varied"):
            compare(vary=None)
        path = tmp_path / "study.toml"
        path.write_text("[vary]\noptimizer = ['adamw', 'muon']\n")
        with pytest.raises(InputError, match="this study varies optimizer"):
            workflow.study(str(text), out=tmp_path / "out", config=path)
        contents = compare(vary=None, config=path)
        assert set(contents.runs) == {"adamw", "muon"}


def fail(executor, optimizer):
    """Let every trial of an optimiser diverge."""

    class Failing(set):
        def __contains__(self, name):
            return executor.trained[-1].recipe.optimizer == optimizer

    executor.failing = Failing()


@pytest.mark.torch
def test_of_trained_models_ends_with_a_report(text, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="needs the extra train")
    from scalescope.executors import LocalExecutor

    tiny_study.shrink(monkeypatch.setattr, trained=True)
    monkeypatch.setattr("scalescope.executors.open_executor", lambda *args, **options: LocalExecutor(2))
    contents = workflow.compare_levers(
        str(text),
        out=tmp_path / "out",
        budget="4.8e10",
        context=tiny_study.CONTEXT,
        vary={"clip": ("1", "0")},
    )
    clipped, free = contents.runs["clip=1"], contents.runs["clip=0"]
    assert len(clipped) == len(free) >= 9
    assert (clipped["seed"] == free["seed"]).all()
    assert (clipped.tokens == free.tokens).all()
    assert (clipped.loss != free.loss).any()
    assert "clip: 1, 0" in (tmp_path / "out" / "report.html").read_text()
