"""Transfer studies: which runs they take, that nothing of them is lost, and a tiny one that is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_study
from fake_executor import FakeExecutor

from scalescope import workflow
from scalescope.cost import Shape
from scalescope.errors import InputError, RunError
from scalescope.fitting.pretraining import estimation
from scalescope.ledgers.ledger import Ledger
from scalescope.points import read_json, read_runs
from scalescope.reports.transfer import TransferContents, transfer_report
from scalescope.studies.collect import TUNE
from scalescope.studies.transfer import FINE_TUNE, PRETRAIN, SCRATCH, Transfer
from scalescope.training.recipe import Recipe

SHAPES = tuple(
    Shape(width=width, n_layers=1, n_heads=1, n_kv_heads=1, feed_forward=24, vocabulary=256, context=32)
    for width in (8, 16)
)
DESIGN = Transfer(shapes=SHAPES, pretraining=(16384, 32768), tokens=(1024, 2048), evaluation_tokens=2048)
K, ALPHA, BETA = 10.0, 0.4, 0.5


def test_every_fine_tuning_has_its_pretraining_before_and_its_twin_from_scratch():
    legs = DESIGN.legs()
    for first, tuned, twin in zip(legs.pretrained, legs.fine_tuned, legs.scratch, strict=True):
        assert (first.phase, tuned.phase, twin.phase) == (PRETRAIN, FINE_TUNE, SCRATCH)
        assert first.trial.shape == tuned.trial.shape == twin.trial.shape
        assert tuned.trial.start == first.keep
        assert (tuned.keep, twin.keep, twin.trial.start) == ("", "", "")
        assert set(tuned.trial.horizons) < set(twin.trial.horizons)
    assert [leg.trial.horizons for leg in legs.pretrained] == [(16384,), (32768,)]
    assert legs.scratch[0].trial.horizons == (1024, 2048, 4096, 8192, 12288)


def test_the_dearest_fine_tuned_run_is_held_out_and_trained_like_the_others():
    legs = replace(DESIGN, seeds=(0, 1)).legs()
    assert [leg.trial.horizons for leg in legs.fine_tuned] == [(1024, 2048), (1024,)] * 2
    assert [leg.trial.horizons for leg in legs.held_out] == [(2048,)] * 2
    assert {leg.trial.shape for leg in legs.held_out} == {SHAPES[1]}
    assert {leg.trial.first_horizon for leg in (*legs.held_out, *legs.fine_tuned)} == {1024}
    every = (*legs.pretrained, *legs.fine_tuned, *legs.scratch, *legs.held_out)
    assert len({leg.key for leg in every}) == len(every)
    assert len({leg.keep for leg in legs.pretrained}) == 4


def test_fine_tuning_has_a_rate_of_its_own():
    legs = replace(DESIGN, tuning=Recipe(rate=0.5)).legs()
    assert {leg.trial.recipe.rate for leg in (*legs.fine_tuned, *legs.held_out)} == {0.5}
    assert {leg.trial.recipe.rate for leg in (*legs.scratch, *legs.pretrained)} == {1.0}
    tried = DESIGN.trying(FINE_TUNE, "tune-2", Recipe(rate=2.0))
    assert (tried.phase, tried.key, tried.trial.start) == (TUNE, "fine-tune/tune-2", legs.pretrained[0].keep)


@pytest.mark.parametrize("changed", [{"pretraining": (1,)}, {"tokens": (1,)}, {"tokens": (2, 1)}])
def test_designs_that_say_nothing_are_refused(changed):
    with pytest.raises(InputError):
        replace(DESIGN, **changed)


def test_a_design_comes_back_from_its_json():
    assert Transfer.from_dict(json.loads(json.dumps(DESIGN.to_dict()))) == DESIGN


class TransferExecutor(FakeExecutor):
    """Losses fall with text; what was trained before is worth as much text as the law says."""

    worth = K
    """0 where pre-training is worth nothing, negative where it hurts."""

    def _schedule(self, task):
        keep, self.start = task.payload.get("keep"), task.files.get("start")
        if keep:
            Path(keep).write_bytes(task.key.encode())
        if self.start:
            assert self.start.is_file()
        yield from list(super()._schedule(task))

    def _point(self, trial, horizon):
        point = super()._point(trial, horizon)
        size = trial.shape.params_nonembedding
        worth = self.worth * horizon**ALPHA * size**BETA if self.start else 0.0
        text = max(horizon + worth, 0.2 * horizon)
        noise = np.random.default_rng([trial.seed, size, bool(self.start)]).normal(0, self.noise)
        rate = trial.recipe.rate / (0.3 if self.start else 1.0)
        loss = 9 * text**-0.15 * size**-0.03 * np.exp(noise) * (1 + 0.003 * np.log(rate) ** 2)
        point |= {"loss": float(loss), "characters": float(horizon)}
        return point | ({"tokens_pretraining": 1000} if self.start else {})


def shrink(setattr_) -> None:
    real = estimation.fit
    few = {"resamples": 30, "profiles": False}
    setattr_(
        "scalescope.fitting.pretraining.estimation.fit",
        lambda runs, law, **options: real(runs, law, **(options | few)),
    )
    setattr_("scalescope.studies.laying_transfer.FEWEST_STEPS", 0.3)
    setattr_("scalescope.studies.laying_transfer.TOKENS_PER_PARAM", (0.25, 0.5, 1.0, 2.0))
    setattr_("scalescope.studies.laying_transfer.PRETRAINING", 2.0)
    setattr_("scalescope.studies.transfer.REACH", 8.0)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    return {
        name: str(tiny_study.write_text(folder / name, seed=seed)) for name, seed in (("new", 0), ("old", 1))
    }


@pytest.fixture
def simulated(monkeypatch, no_power_cuts):
    tiny_study.simulate(monkeypatch)
    shrink(monkeypatch.setattr)
    from fake_executor import Clock

    clock = Clock()
    for module in ("pace", "driver", "opening_transfer", "transfer_study"):
        monkeypatch.setattr(f"scalescope.studies.{module}.time", clock)
    made = TransferExecutor(clock, noise=5e-4)
    monkeypatch.setattr("scalescope.executors.open_executor", lambda *args, **options: made)
    monkeypatch.setattr("scalescope.workflow.transferring.transfer_report", lambda contents, path: path)
    return made


@pytest.fixture
def request_(texts, tmp_path):
    given = {"corpus": texts["new"], "pretrain": texts["old"], "design": "transfer"}
    return workflow.requested(given | {"out": tmp_path / "out", "budget": "9e10", "context": 32})


class TestSimulated:
    def test_finds_the_law_that_made_the_losses_and_forecasts_what_is_held_out(
        self, simulated, request_, monkeypatch
    ):
        monkeypatch.setattr("scalescope.workflow.transferring.transfer_report", transfer_report)
        contents = workflow.run_transfer(request_)
        found = contents.found
        for name, true in (("alpha", ALPHA), ("beta", BETA)):
            assert found.fit.coefficients[name].value == pytest.approx(true, abs=0.1)
        one = found.headline
        assert one.verdict == "worth"
        assert one.worth.value == pytest.approx(K * one.characters**ALPHA * one.size**BETA, rel=0.1)
        assert contents.forecast.agrees
        assert contents.forecast.measured == pytest.approx(contents.forecast.loss.value, rel=0.01)
        assert found.fit.n_runs == len(found.worth) - 2
        out = request_.out
        wanted = {"runs.csv", "transferred.csv", "pretraining.json", "fit.json", "report.html", "report.json"}
        assert wanted <= {path.name for path in out.iterdir()}
        assert TransferContents.from_dict(read_json(out / "report.json")).summary() == contents.summary()
        assert len(read_runs(out / "transferred.csv")) == len(found.worth)
        assert "is worth as much as" in (out / "report.html").read_text()

    def test_the_forecast_is_written_before_the_run_is_trained(self, simulated, request_):
        simulated.failing = FailingPhase(simulated, "held-out")
        contents = workflow.run_transfer(request_)
        assert contents.forecast.measured is None
        assert "WFL010" in {finding.code for finding in contents.findings}
        held = [key for key in simulated.started if key.startswith("held-out")]
        assert len(held) == 2
        assert simulated.started[-2:] == held

    def test_fine_tuning_is_tuned_slower_and_twins_share_their_rate(self, simulated, request_):
        workflow.run_transfer(request_)
        rates = {
            bool(trial.start): trial.recipe.rate for trial in simulated.trained if len(trial.horizons) > 1
        }
        assert rates[True] == pytest.approx(0.3, rel=0.2)
        assert rates[False] == pytest.approx(1.0, rel=0.2)

    @pytest.mark.parametrize(("worth", "verdict"), [(0.0, "unclear"), (-0.5, "hurts")])
    def test_texts_that_are_far_apart_are_told(self, simulated, request_, worth, verdict):
        simulated.worth = worth
        found = workflow.run_transfer(request_).found
        assert found.headline.verdict == verdict
        assert found.fit is None or found.headline.worth.low <= 0

    def test_again_trains_nothing(self, simulated, request_):
        first = workflow.run_transfer(request_)
        n_started = len(simulated.started)
        again = workflow.run_transfer(request_)
        assert len(simulated.started) == n_started
        assert again.found.gains == first.found.gains
        assert again.command == first.command
        assert "--pretrain" in first.command

    def test_goes_on_after_an_interruption_with_the_weights_that_are_there(self, simulated, request_):
        simulated.stop_after = 20
        with pytest.raises(KeyboardInterrupt):
            workflow.run_transfer(request_)
        before = len([key for key in simulated.started if key.startswith(PRETRAIN)])
        simulated.stop_after = None
        simulated._running.clear()
        simulated._queue.clear()
        workflow.run_transfer(request_)
        assert len([key for key in simulated.started if key.startswith(PRETRAIN)]) == before == 6

    def test_weights_that_are_damaged_or_gone_are_trained_again_where_they_are_needed(
        self, simulated, request_
    ):
        simulated.stop_after = 26
        with pytest.raises(KeyboardInterrupt):
            workflow.run_transfer(request_)
        kept = sorted((request_.out / "weights").iterdir(), key=lambda path: int(path.name[1:].split("-")[0]))
        first, second = kept[-2:]
        first.write_bytes(b"other")
        second.unlink()
        simulated.stop_after = None
        simulated._running.clear()
        simulated._queue.clear()
        contents = workflow.run_transfer(request_)
        assert len([key for key in simulated.started if "again-2" in key]) == 2
        assert len(contents.found.worth) == len(contents.found.gains) * 2

    def test_without_weights_the_others_go_on(self, simulated, request_):
        simulated.failing = FailingPhase(simulated, f"{PRETRAIN}/d12-L2-s1")
        contents = workflow.run_transfer(request_)
        assert "STU062" in {finding.code for finding in contents.findings}
        assert contents.found.headline.n_seeds == 2

    def test_stops_where_nothing_can_be_compared(self, simulated, request_):
        simulated.failing = FailingPhase(simulated, PRETRAIN)
        with pytest.raises(
            RunError, match="no fine-tuned run can be compared with runs from scratch: Diverged"
        ):
            workflow.run_transfer(request_)


class FailingPhase(set):
    """Names of all trials whose key begins so."""

    def __init__(self, executor: FakeExecutor, start: str) -> None:
        super().__init__()
        self.executor, self.start = executor, start

    def __contains__(self, name: object) -> bool:
        return self.executor.started[-1].startswith(self.start)


class TestRefused:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"pretrain": None}, "nothing to pre-train on"),
            ({"task": "masked"}, "not of masked"),
            ({"vary": {"clip": ("1", "0")}}, "varies nothing"),
            ({"budget": "1e9"}, "too small for a transfer study"),
        ],
    )
    def test_what_cannot_be_asked(self, simulated, request_, changed, message):
        with pytest.raises(InputError, match=message):
            workflow.run_transfer(replace(request_, **changed))

    def test_another_text_before_is_another_study(self, simulated, request_, tmp_path):
        workflow.run_transfer(request_)
        other = tiny_study.write_text(tmp_path / "other", seed=5)
        with pytest.raises(InputError):
            workflow.run_transfer(replace(request_, pretrain=str(other)))

    def test_a_text_that_is_too_short(self, simulated, request_, tmp_path):
        short = tiny_study.write_text(tmp_path / "short", n_documents=24)
        with pytest.raises(InputError, match="training tokens, and the smallest transfer study"):
            workflow.run_transfer(replace(request_, corpus=str(short)))


@pytest.mark.torch
def test_a_tiny_study_that_is_trained_ends_with_a_report(texts, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("safetensors", reason="needs the extra train")
    from scalescope.executors import LocalExecutor

    tiny_study.shrink(monkeypatch.setattr, trained=True)
    shrink(monkeypatch.setattr)
    monkeypatch.setattr("scalescope.studies.laying_transfer.SIZES", (1.0, 1.8))
    monkeypatch.setattr("scalescope.studies.laying_transfer.SMALLEST", 1.0)
    monkeypatch.setattr("scalescope.executors.open_executor", lambda *args, **options: LocalExecutor(2))
    given = {"corpus": texts["new"], "pretrain": texts["old"], "design": "transfer", "context": 32}
    contents = workflow.run_transfer(
        workflow.requested(given | {"out": tmp_path / "out", "budget": "2.2e10"})
    )
    runs = contents.found.runs
    tuned = np.nan_to_num(runs["tokens_pretraining"]) > 0
    assert 0 < tuned.sum() < len(runs)
    assert runs.held_out.sum() in (0, 2)
    with Ledger.read(tmp_path / "out") as ledger:
        assert not ledger.trials("failed")
        assert len(ledger.meta("weights")) == 4
    assert "characters" in contents.summary() or "cannot be told" in contents.summary()
