"""Real trials of a tiny model on a tiny corpus."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.corpora.preparing import prepare_corpus  # noqa: E402
from scalescope.cost import Shape  # noqa: E402
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.trial import DivergedError, run  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=8, n_layers=2, n_heads=1, n_kv_heads=1, feed_forward=24, vocabulary=256, context=32)
TRIAL = Trial(name="t", shape=SHAPE, seed=0, horizons=(8192, 16384), evaluation_tokens=2048)


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    text = tmp_path_factory.mktemp("text")
    for index in range(40):
        words = " ".join(f"word{(index * 7 + k * k) % 97} = {k % 13};" for k in range(400))
        (text / f"{index}.txt").write_text(words)
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    prepare_corpus(str(text), folder)
    return folder


def train(trial, folder, **more):
    from scalescope.corpora.corpus import open_corpus

    corpus = open_corpus(folder)
    messages = []
    plain = msgspec.to_builtins(trial)
    payload = {
        "trial": {key: value for key, value in plain.items() if value != math.inf},
        "corpus": corpus.to_dict(),
        "train": str(folder / corpus.train_file),
        "held_out": str(folder / corpus.held_out_file),
        **more,
    }
    result = run(payload, messages.append)
    return [message for message in messages if message["kind"] == "point"], result


def test_a_trial_gives_a_point_for_every_horizon(corpus_folder):
    points, result = train(TRIAL, corpus_folder)
    assert [point["horizon"] for point in points] == [8192, 16384]
    assert [point["tokens"] for point in points] == [8192, 16384]
    assert points[1]["loss"] < points[0]["loss"] < math.log(256)
    assert result["cut"] == []
    assert len(result["curve"]["tokens"]) == len(result["curve"]["loss"]) > 3


def test_a_point_carries_both_counts_of_parameters_and_of_flop(corpus_folder):
    point = train(TRIAL, corpus_folder)[0][0]
    assert point["params"] == point["params_nonembedding"] + 2 * 256 * 8
    assert point["params_matmul"] == point["params_nonembedding"] + 256 * 8
    assert point["compute"] == 6 * point["params_matmul"] * point["tokens"]
    assert point["compute_exact"] == SHAPE.flop_per_token * point["tokens"]
    # The byte that ends each document is predicted too, but is no byte of text.
    assert point["bits_per_byte"] == pytest.approx(point["loss"] / math.log(2), rel=1e-3)
    assert point["bits_per_byte"] > point["loss"] / math.log(2)
    assert 0 < point["loss_stderr"] < 0.5


def test_the_same_seed_gives_the_same_losses_and_another_does_not(corpus_folder):
    first, again = (train(TRIAL, corpus_folder)[0] for _ in range(2))
    other = train(replace(TRIAL, seed=1), corpus_folder)[0]
    assert [point["loss"] for point in first] == [point["loss"] for point in again]
    assert first[0]["loss"] != other[0]["loss"]


def test_an_earlier_branch_leaves_no_trace_in_a_later_point(corpus_folder):
    both = train(TRIAL, corpus_folder)[0]
    alone = train(replace(TRIAL, horizons=(16384,), first_horizon=8192), corpus_folder)[0]
    assert both[1]["loss"] == pytest.approx(alone[0]["loss"], abs=0.02)


def test_a_rate_that_is_absurd_diverges_with_a_cause(corpus_folder):
    wild = replace(TRIAL, recipe=Recipe(rate=1e4, optimizer="adamw"))
    with pytest.raises(DivergedError, match="diverged: "):
        train(wild, corpus_folder)


def test_horizons_that_the_time_does_not_allow_are_cut_and_named(corpus_folder):
    points, result = train(replace(TRIAL, horizons=(8192, 80_000_000), seconds=3.0), corpus_folder)
    assert [point["horizon"] for point in points] == [8192]
    assert result["cut"] == [80_000_000]


def test_bf16_learns_about_as_well_as_fp32(corpus_folder):
    single = train(TRIAL, corpus_folder)[0][-1]["loss"]
    half = train(replace(TRIAL, precision="bf16"), corpus_folder)[0][-1]["loss"]
    assert half == pytest.approx(single, abs=0.1)
    assert half != single


def test_adamw_trains_too(corpus_folder):
    points, _ = train(replace(TRIAL, recipe=Recipe(optimizer="adamw")), corpus_folder)
    assert points[-1]["loss"] < 0.9 * math.log(256)


def test_a_trial_says_what_it_used_where_a_power_is_stated(corpus_folder):
    points, result = train(TRIAL, corpus_folder, power={"watts": 100.0})
    energies = [point["energy_j"] for point in points]
    assert 0 < energies[0] < energies[1] <= result["energy"]["joules"]
    assert result["energy"]["joules"] <= 100 * 2 * points[-1]["seconds"]  # a share of the machine's
    assert result["energy"]["source"].endswith("share of processor time")
