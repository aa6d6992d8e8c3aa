"""Transfer: which runs it takes, and what they say pre-training is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.studies.transfer import PRETRAIN, SCRATCH, TUNE, Transfer, transferred

SHAPES = tuple(
    Shape(width=width, n_layers=1, n_heads=1, n_kv_heads=1, feed_forward=24, vocabulary=256, context=32)
    for width in (8, 16)
)
DESIGN = Transfer(shapes=SHAPES, pretraining=(16384, 32768), tokens=(1024, 2048), evaluation_tokens=2048)


def test_every_fine_tuning_has_its_pretraining_before_and_its_twin_from_scratch():
    legs = DESIGN.legs(Path("kept"))
    assert [leg.planned.phase for leg in legs] == [PRETRAIN] * 2 + [TUNE] * 2 + [SCRATCH] * 2
    first, tuned, scratch = legs[:2], legs[2:4], legs[4:]
    for shape, leg, then, twin in zip(SHAPES, first, tuned, scratch, strict=True):
        assert {one.planned.trial.shape for one in (leg, then, twin)} == {shape}
        assert then.planned.trial.start == str(leg.keep)
        assert (leg.source, then.source, twin.source) == (True, False, False)
        assert (then.keep, twin.keep, twin.planned.trial.start) == (None, None, "")
        assert set(then.planned.trial.horizons) < set(twin.planned.trial.horizons)
    assert [leg.planned.trial.horizons for leg in first] == [(16384,), (32768,)]
    assert scratch[0].planned.trial.horizons == (1024, 2048, 4096, 8192, 16384)
    assert len({leg.planned.key for leg in legs}) == 6
    assert len({leg.keep for leg in first}) == 2


def test_seeds_and_the_rate_of_fine_tuning_reach_the_trials():
    legs = replace(DESIGN, seeds=(3, 4), tuning_rate=0.5).legs(Path("kept"))
    assert len(legs) == 12
    assert {leg.planned.trial.seed for leg in legs} == {3, 4}
    assert {leg.planned.trial.recipe.rate for leg in legs if leg.planned.phase == TUNE} == {0.5}
    assert {leg.planned.trial.recipe.rate for leg in legs if leg.planned.phase != TUNE} == {1.0}


@pytest.mark.parametrize("changed", [{"pretraining": (1,)}, {"tokens": (1,)}, {"tokens": (2, 1)}])
def test_designs_that_say_nothing_are_refused(changed):
    with pytest.raises(InputError):
        replace(DESIGN, **changed)


def point(size, text, loss, before=0):
    row = {"params": size, "params_nonembedding": size, "width": size, "n_layers": 1, "seed": 0}
    return row | {"tokens": text, "characters": text, "loss": loss, "tokens_pretraining": before}


def scratch_loss(text, size):
    return 3 * text**-0.2 * size**-0.05


def test_what_pretraining_is_worth_comes_out_as_it_was_put_in():
    k, alpha, beta = 900.0, 0.3, 0.4
    points = []
    for size in (1e4, 4e4, 16e4):
        points += [point(size, text, scratch_loss(text, size)) for text in np.geomspace(1e4, 1e7, 6)]
        for text in (1e4, 4e4, 16e4):
            worth = k * text**alpha * size**beta
            points.append(point(size, text, scratch_loss(text + worth, size), before=1e7))
    runs = transferred(points)
    assert runs.findings == ()
    logs = [np.log(runs.columns[name]) for name in ("characters", "params_nonembedding")]
    worth = np.log(runs.columns["characters_transferred"])
    found = np.linalg.lstsq(np.stack([np.ones(9), *logs], 1), worth, rcond=None)[0]
    assert found == pytest.approx([np.log(k), alpha, beta], abs=1e-3)


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


@pytest.mark.torch
def test_a_tiny_study_finds_that_a_near_text_is_worth_something(tmp_path):
    pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("safetensors", reason="needs the extra train")
    from scalescope.corpora.preparing import prepare_corpus
    from scalescope.training.trial import run

    def corpus(name, pattern):
        (tmp_path / name).mkdir()
        for n in range(40):
            words = " ".join(pattern.format((n * 7 + i * i) % 97, i % 13) for i in range(400))
            (tmp_path / name / f"{n}.txt").write_text(words)
        return prepare_corpus(str(tmp_path / name), tmp_path / f"{name}-tokens")

    corpora = {True: corpus("source", "word{} = {};"), False: corpus("target", "word{} -> {}.")}
    points = []
    for leg in Transfer(
        shapes=SHAPES[:1], pretraining=(16384,), tokens=(512, 1024), evaluation_tokens=1024
    ).legs(tmp_path / "kept"):
        read = corpora[leg.source]
        trial = msgspec.to_builtins(leg.planned.trial)
        del trial["seconds"]
        payload = {"trial": trial, "corpus": read.to_dict(), "keep": str(leg.keep or "")}
        told = []
        run(payload | {"train": read.train_file, "held_out": read.held_out_file}, told.append)
        if not leg.source:
            points += [message for message in told if message["kind"] == "point"]
    runs = transferred(points)
    assert runs.columns["tokens_pretraining"].tolist() == [16384, 16384]
    assert (runs.columns["characters_transferred"] > 0).all()
