"""What pre-training is worth in text: curves, gains, the law and its forecast, on losses that are made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.pretraining import (
    Pretraining,
    TunedForecast,
    forecast_tuned,
    scratch_curve,
    transferred,
    worth_of_pretraining,
)
from scalescope.fitting.pretraining.text import answer, told_forecast

K, ALPHA, BETA = 900.0, 0.3, 0.4
SIZES = (1e4, 4e4, 16e4)


def point(size, text, loss, before=0, seed=0):
    row = {"params": size, "params_nonembedding": size, "width": size, "n_layers": 1, "seed": seed}
    return row | {"tokens": text, "characters": text, "loss": loss, "tokens_pretraining": before}


def scratch_loss(text, size):
    return 3 * text**-0.2 * size**-0.05


def study(noise=0.003, worth=K, seeds=(0, 1)):
    """Points of a study whose law is known; those of one run share their luck."""
    rng, points = np.random.default_rng(2), []
    for size in SIZES:
        for seed in seeds:
            luck, other = np.exp(rng.normal(0, noise, 2))
            points += [
                point(size, text, scratch_loss(text, size) * luck, 0, seed)
                for text in 1e4 * 2.0 ** np.arange(9)
            ]
            for text in (1e4, 2e4, 4e4, 8e4):
                more = max(worth * text**ALPHA * size**BETA, -0.5 * text)
                points.append(point(size, text, scratch_loss(text + more, size) * other, 1e7, seed))
    return points


def test_what_pretraining_is_worth_comes_out_as_it_was_put_in():
    points = []
    for size in SIZES:
        points += [point(size, text, scratch_loss(text, size)) for text in np.geomspace(1e4, 1e7, 6)]
        for text in (1e4, 4e4, 16e4):
            worth = K * text**ALPHA * size**BETA
            points.append(point(size, text, scratch_loss(text + worth, size), before=1e7))
    runs = transferred(points)
    assert runs.findings == ()
    logs = [np.log(runs.columns[name]) for name in ("characters", "params_nonembedding")]
    worth = np.log(runs.columns["characters_transferred"])
    found = np.linalg.lstsq(np.stack([np.ones(9), *logs], 1), worth, rcond=None)[0]
    assert found == pytest.approx([np.log(K), ALPHA, BETA], abs=1e-3)


def test_what_scratch_does_not_reach_and_what_is_worth_nothing_are_told_and_left_open():
    curve = [point(100, text, loss) for text, loss in ((10, 3.0), (100, 2.0), (1000, 2.1))]
    runs = transferred([*curve, point(100, 20, 1.9, 5), point(100, 20, 2.9, 5), point(100, 20, 2.2, 5)])
    worth = runs.columns["characters_transferred"]
    assert np.isnan(worth[:2]).all()
    assert 20 < worth[2] + 20 < 100
    assert [finding.code for finding in runs.findings] == ["TRN131", "TRN132"]
    assert "1 of 3" in runs.findings[0].text


def test_without_twins_nothing_can_be_said():
    with pytest.raises(InputError, match="none of the 1 fine-tuned points has runs from scratch"):
        transferred([point(100, 20, 1.9, 5), point(101, 20, 1.9), point(101, 40, 1.8)])


def test_a_scratch_curve_goes_on_where_it_ends_and_is_read_back_inside():
    points = [point(100, text, scratch_loss(text, 100)) for text in (1e4, 4e4, 16e4)]
    curve = scratch_curve(points, points[0])
    assert curve.loss_at(np.array([2e4, 64e4])) == pytest.approx([scratch_loss(t, 100) for t in (2e4, 64e4)])
    assert curve.text_for(scratch_loss(3e4, 100)) == pytest.approx(3e4)
    assert curve.text_for(scratch_loss(17e4, 100)) == np.inf


@pytest.fixture(scope="module")
def found():
    return worth_of_pretraining(study(worth=K / 6), resamples=60)


class TestWorth:
    def test_intervals_hold_the_law_and_the_gains(self, found):
        for name, true in (("alpha", ALPHA), ("beta", BETA)):
            one = found.fit.coefficients[name]
            assert one.low <= true <= one.high
        one = found.headline
        true = K / 6 * one.characters**ALPHA * one.size**BETA
        assert one.verdict == "worth"
        assert one.worth.low <= true <= one.worth.high
        assert found.noise == pytest.approx(0.003, rel=0.6)
        assert "is worth as much as" in answer(found, "A", "B")

    def test_a_forecast_beyond_the_fitted_text_holds_what_is_true(self, found):
        points = study(worth=K / 6)
        text, size = 16e4, SIZES[-1]
        made = forecast_tuned(
            found,
            scratch_curve(points, point(size, text, 1.0)),
            size=size,
            tokens=text,
            characters=text,
            n_seeds=2,
        )
        true = scratch_loss(text + K / 6 * text**ALPHA * size**BETA, size)
        checked = made.with_measured(true)
        assert checked.agrees
        assert "inside" in told_forecast(checked)
        assert made.with_measured(2 * true).agrees is False
        assert TunedForecast.from_dict(json.loads(json.dumps(made.to_dict()))) == made

    def test_it_comes_back_from_its_json(self, found):
        again = Pretraining.from_dict(json.loads(json.dumps(found.to_dict())))
        assert again.gains == found.gains
        assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize(
    ("worth", "verdict", "words"),
    [(0.0, "unclear", "cannot be told"), (-K, "hurts", "hurts"), (1e3 * K, "more", "more than")],
)
def test_other_verdicts_are_told_in_words(worth, verdict, words):
    found = worth_of_pretraining(study(worth=worth, noise=0.01 if not worth else 0.003), resamples=20)
    assert found.headline.verdict == verdict
    assert words in answer(found, "A", "B")
    if verdict != "unclear":
        assert found.fit is None
        assert "STU060" in {finding.code for finding in found.findings}


def test_without_seeds_nothing_is_claimed():
    found = worth_of_pretraining(study(seeds=(0,)), resamples=20)
    assert found.headline.verdict == "unclear"
    assert "STU061" in {finding.code for finding in found.findings}
