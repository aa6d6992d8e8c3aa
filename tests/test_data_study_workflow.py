"""Studies over data from a text to a report: on trials that follow a law, and on trials that are trained."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
import tiny_study
from fake_executor import FakeExecutor

from scalescope import workflow
from scalescope.cli import main
from scalescope.errors import InputError
from scalescope.laws import get_law
from scalescope.points import read_json, read_runs
from scalescope.reports.data_study import MixtureContents, RepetitionContents
from scalescope.training.trial_settings import Trial

NAMES = ("prose", "code")
FLOORS = np.array([1.0, 1.2])
LAW = np.array([[-1.0, 0.2], [0.3, -1.2]])
R_D = 6.0
DECAY = np.array([1.2, 30.0, 100.0, 0.4, 0.42, R_D, 1e7])
MIXED = {"design": "mixture", "context": tiny_study.CONTEXT}
REPEATED = {"design": "repetition", "context": tiny_study.CONTEXT}


@dataclass
class DataExecutor(FakeExecutor):
    """Trials whose losses follow the laws of mixing and of repeated tokens."""

    trials: list[Trial] = field(default_factory=list)

    def _point(self, trial: Trial, horizon: int) -> dict[str, object]:
        self.trials.append(trial)
        point = super()._point(trial, horizon)
        reading = trial.reading
        noise = np.random.default_rng([trial.seed, horizon, len(trial.name)]).normal(0, 1e-3)
        weights = reading.weights or dict(zip(NAMES, (0.5, 0.5), strict=True))
        shares = np.array([weights.get(name, 0.0) for name in NAMES])
        losses = (FLOORS + np.exp(LAW @ shares)) * np.exp(noise)
        point["loss_by_source"] = dict(zip(NAMES, losses.tolist(), strict=True))
        unique = min(reading.unique_tokens or horizon, horizon)
        point["tokens_unique"] = unique
        values = {"N": trial.shape.params_matmul, "D": horizon, "U": unique}
        law = get_law("data-constrained").value(
            DECAY, **{name: np.array([float(v)]) for name, v in values.items()}
        )
        off = 1 + 0.01 * np.log(trial.recipe.rate / self.rate_optimum) ** 2
        point["loss"] = float(law[0] * np.exp(noise) * off)
        return point


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for seed, name in enumerate(NAMES):
        tiny_study.write_text(folder / name, n_documents=40, seed=seed)
    sources = "".join(f'[[source]]\nname = "{name}"\npath = "{name}"\n' for name in NAMES)
    (folder / "recipe.toml").write_text(
        f"{sources}[held_out]\nshare = 0.1\n[filters.length]\nleast_words = 3\n"
    )
    return folder


@pytest.fixture
def simulated(monkeypatch):
    few(monkeypatch, resamples=8)
    executor = tiny_study.simulate(monkeypatch)
    made = DataExecutor(executor.clock)
    monkeypatch.setattr("scalescope.executors.open_executor", lambda *args, **kwargs: made)
    return made


def few(monkeypatch, *, resamples):
    """What the fits find is the fits' business."""
    for place, name in (("mixing", "best_mixture"), ("repeating", "worth_of_epochs")):
        module = f"scalescope.workflow.{place}"
        original = getattr(__import__(module, fromlist=[name]), name)
        monkeypatch.setattr(f"{module}.{name}", functools.partial(original, resamples=resamples))
    monkeypatch.setattr("scalescope.studies.repeating.TOKENS_PER_PARAM", 8.0)


class TestMixtures:
    def test_the_best_is_found_forecast_and_only_then_trained(self, simulated, text, tmp_path):
        out = tmp_path / "out"
        given = {"corpus": str(text / "recipe.toml"), "out": out, "budget": "6e10", **MIXED}
        request = workflow.requested(given | {"max_epochs": 1000.0})
        contents = workflow.run_mixture(request)
        found = contents.mixtures
        grid = np.linspace(0.04, 0.96, 4000)
        losses = [0.5 * (FLOORS + np.exp(LAW @ (share, 1 - share))).sum() for share in grid]
        target = found.target
        losses = [float(target @ (FLOORS + np.exp(LAW @ (share, 1 - share)))) for share in grid]
        assert found.shares[0] == pytest.approx(grid[int(np.argmin(losses))], abs=0.03)
        best, random = found.forecasts
        assert (best.n_runs, random.n_runs) == (2, 1)
        assert best.measured_loss == pytest.approx(min(losses), rel=0.003)
        assert len(contents.runs["code"]) == len(found.tried) + 3
        last = [trial.name for trial in simulated.trials][-3:]
        assert {name.rpartition("-s")[0] for name in last} == {"best-mixture", "random-mixture"}
        assert MixtureContents.from_dict(read_json(out / "report.json")).title == contents.title
        assert len(read_runs(out / "runs-1.csv")) == len(contents.runs["prose"])
        n_started = len(simulated.started)
        assert workflow.run_mixture(request).mixtures.forecasts == found.forecasts
        assert len(simulated.started) == n_started

    def test_one_source_is_refused_in_one_line(self, simulated, text, tmp_path, capsys):
        code = main(["study", str(text / "prose"), "--design", "mixture", "--out", str(tmp_path / "out")])
        assert code == 2
        assert "needs 2 to 8 sources" in capsys.readouterr().err

    def test_the_plain_verb_names_the_right_one(self, simulated, text, tmp_path):
        with pytest.raises(InputError, match="study of mixture answers another question"):
            workflow.run_study(workflow.requested({"out": tmp_path / "out", **MIXED}))


class TestRepetition:
    def test_what_a_token_is_worth_again_is_found_and_the_hold_out_forecast(
        self, simulated, text, tmp_path, capsys
    ):
        out = tmp_path / "out"
        options = ["--design", "repetition", "--budget", "2e11", "--context", str(tiny_study.CONTEXT)]
        assert main(["study", str(text), *options, "--out", str(out)]) == 0
        told = capsys.readouterr().out
        assert "report:" in told
        contents = RepetitionContents.from_dict(read_json(out / "report.json"))
        found = contents.repetition
        assert found.fit.coefficients["R_D"].value == pytest.approx(R_D, rel=0.3)
        one = found.forecast
        assert one is not None
        assert one.epochs == 32
        assert one.n_runs == 2
        assert one.measured == pytest.approx(one.loss.value, rel=0.02)
        assert found.runs.held_out.sum() == 2
        assert len(read_runs(out / "runs.csv")) == len(found.runs)
        assert simulated.trials[-1].reading.unique_tokens == one.unique
        assert found.noise_freedom >= 6

    def test_a_resumed_study_keeps_the_forecast_that_it_wrote_down(self, simulated, text, tmp_path):
        given = {"corpus": str(text), "out": tmp_path / "out", "budget": "2e11", **REPEATED}
        request = workflow.requested(given)
        simulated.stop_after = 12
        with pytest.raises(KeyboardInterrupt):
            workflow.run_repetition(request)
        simulated.stop_after = None
        first = workflow.run_repetition(request).repetition.forecast
        again = workflow.run_repetition(request).repetition.forecast
        assert msgspec.to_builtins(first) == msgspec.to_builtins(again)


class TestFilters:
    def test_are_arms_of_one_build(self, simulated, text, tmp_path):
        contents = workflow.compare_levers(
            str(text / "recipe.toml"),
            out=tmp_path / "out",
            budget="2e11",
            context=tiny_study.CONTEXT,
            vary={"filters": ("none", "length")},
        )
        assert len(contents.runs) == 2
        corpora = {path.name.partition("-")[2] for path in (tmp_path / "out" / "corpora").iterdir()}
        assert corpora == {"unfiltered", "none", "length"}

    def test_without_a_recipe_are_refused(self, simulated, text, tmp_path):
        with pytest.raises(InputError, match="filters are varied over a recipe"):
            workflow.compare_levers(str(text), out=tmp_path / "out", vary={"filters": ("none", "length")})
