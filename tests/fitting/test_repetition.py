from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.repetition import Repetition, forecast_repeated, worth_of_epochs
from scalescope.laws import get_law
from scalescope.points import Runs

MOST = 2_100_000.0
SIZES = (21e3, 53e3, 133e3)


def simulated(R_D: float, *, noise: float = 0.003, overfit: float = 0.0, seed: int = 0) -> Runs:
    """Trunks of three sizes on four sets of tokens and on fresh text; two of them with a second seed."""
    law, draw = get_law("data-constrained"), np.random.default_rng(seed)
    theta = np.array([0.8, 35.0, 300.0, 0.45, 0.42, R_D, 20.0])
    rows = []
    for size in SIZES:
        for own in (0, 1) if size == SIZES[0] else (0,):
            for level in (5, 4, 3, 2, 0):
                if own and level not in (5, 0):
                    continue
                luck = draw.normal(0, noise)
                for back in range(min(level, 5) if level else 5, -1, -1):
                    tokens = MOST / 2**back
                    unique = MOST / 2**level if level else tokens
                    value = law.value(theta, N=np.array([size]), D=np.array([tokens]), U=np.array([unique]))
                    rise = overfit * max(0.0, np.log2(tokens / unique / 8))
                    loss = float(value[0]) * np.exp(luck + draw.normal(0, noise)) + rise
                    held = size == SIZES[-1] and level == 5 and back == 0
                    rows.append((size, tokens, unique, loss, own, float(held), f"{size:.0f}-{level}-s{own}"))
    columns = list(zip(*rows, strict=True))
    names = ("params", "tokens", "tokens_unique", "loss", "seed", "held_out")
    return Runs.from_columns(dict(zip(names, columns[:6], strict=True)), names=columns[6])


@pytest.fixture(scope="module")
def runs() -> Runs:
    return simulated(8.0)


@pytest.fixture(scope="module")
def found(runs) -> Repetition:
    return worth_of_epochs(runs, resamples=30)


def test_the_true_decay_is_recovered(found):
    constant = found.fit.coefficients["R_D"]
    assert constant.low <= 8.0 <= constant.high
    assert found.half.value == pytest.approx(1 + 8 * np.log(2), rel=0.1)
    assert found.nearly.value < found.half.value
    assert found.verdict == "told"
    assert "it is worth half" in found.sentence()
    assert found.most_epochs == 32
    assert not found.overfitted


def test_the_most_repeated_run_is_forecast_and_the_law_without_repetition_is_not_near(found, runs):
    held = int(np.flatnonzero(runs.held_out)[0])
    one = forecast_repeated(
        found, size=SIZES[-1], tokens=MOST, unique=float(runs["tokens_unique"][held]), n_runs=1
    )
    assert one.epochs == 32
    assert one.loss.low <= runs.loss[held] <= one.loss.high
    assert one.as_fresh.value < 0.9 * runs.loss[held] < runs.loss[held] < one.as_unread


def test_twins_say_what_repetition_costs_without_a_law(found):
    of_largest = [twin for twin in found.twins if twin.size == SIZES[-1] and twin.tokens == MOST]
    by_epochs = sorted(of_largest, key=lambda twin: twin.epochs)
    assert [twin.epochs for twin in by_epochs] == [4, 8, 16, 32]
    costs = [twin.difference for twin in by_epochs]
    assert costs == sorted(costs)
    assert costs[-1] > 0.3


def test_runs_whose_loss_rises_are_told_and_not_fitted():
    found = worth_of_epochs(simulated(8.0, overfit=0.2), resamples=4)
    told = found.overfitted[0]
    assert told.last_epochs > told.best_epochs >= 8
    assert told.rise > 0.1
    assert any(finding.code == "STU050" for finding in found.findings)
    used = np.array(found.fitted)
    epochs = found.runs.tokens / found.runs["tokens_unique"]
    assert not used[epochs == 32].any()
    assert used[epochs == 1].all()


def test_a_decay_beyond_the_runs_is_not_reached():
    found = worth_of_epochs(simulated(300.0, noise=0.001), resamples=6)
    assert found.verdict == "not reached"
    assert "more than half" in found.sentence()
    assert any(finding.code == "STU053" for finding in found.findings)


def test_noise_that_hides_the_decay_is_said():
    found = worth_of_epochs(simulated(8.0, noise=0.25), resamples=6)
    assert found.verdict != "told"


def test_it_reads_back_what_it_writes_and_has_tidy_rows(found):
    assert Repetition.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert len(found.frame()) == 3
    assert "R_D" in found.summary()


def test_runs_that_read_nothing_again_are_refused(runs):
    fresh = runs.select(runs.tokens <= runs["tokens_unique"])
    with pytest.raises(InputError, match="no run read its text again"):
        worth_of_epochs(fresh)
