"""Real trials of a tiny model on a tiny corpus."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.corpora.corpus import open_corpus  # noqa: E402
from scalescope.corpora.preparing import prepare_corpus  # noqa: E402
from scalescope.cost import Shape  # noqa: E402
from scalescope.training import speed  # noqa: E402
from scalescope.training import trial as trial_room  # noqa: E402
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


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(optimizer="adamw"),
        Recipe(optimizer="lion"),
        Recipe(optimizer="adafactor"),
        Recipe(parametrisation="standard"),
        Recipe(clip=0.0, z_loss=1e-3, weight_decay=0.1, batch_power=0.0, floor=0.1),
    ],
    ids=lambda recipe: f"{recipe.optimizer}-{recipe.parametrisation}",
)
def test_other_recipes_train_too(recipe, corpus_folder):
    if recipe.optimizer == "lion":
        pytest.importorskip("lion_pytorch", reason="needs the extra train")
    points, _ = train(replace(TRIAL, recipe=recipe), corpus_folder)
    assert points[-1]["loss"] < 0.9 * math.log(256)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_schedule_made_for_a_horizon_trains_each_from_scratch(schedule, corpus_folder):
    trial = replace(TRIAL, recipe=Recipe(schedule=schedule))
    both, result = train(trial, corpus_folder)
    alone = [train(replace(trial, horizons=(horizon,)), corpus_folder)[0][0] for horizon in (8192, 16384)]
    assert [point["loss"] for point in both] == [point["loss"] for point in alone]
    assert [point["tokens"] for point in both] == [8192, 16384]
    assert result["curve"]["tokens"] == sorted(result["curve"]["tokens"])


def test_a_constant_schedule_measures_on_its_way(corpus_folder):
    trial = replace(TRIAL, recipe=Recipe(schedule="constant"), first_horizon=8192)
    both = train(trial, corpus_folder)[0]
    alone = train(replace(trial, horizons=(16384,)), corpus_folder)[0]
    # The batch that ends at the first horizon is cut to fit it.
    assert both[1]["loss"] == pytest.approx(alone[0]["loss"], abs=0.02)


def test_a_shape_outside_the_default_family_is_trained_alike(corpus_folder):
    normed = replace(TRIAL, shape=replace(SHAPE, head_norms=True))
    points, result = train(normed, corpus_folder)
    assert points[1]["loss"] < points[0]["loss"] < math.log(256)
    assert len(result["curve"]["gradient_norm"]) == len(result["curve"]["loss"])
    assert all(norm > 0 for norm in result["curve"]["gradient_norm"])


def sabotage(monkeypatch, change):
    """Change what an engine tells of every step, by its number."""

    class Sabotaged(trial_room.LocalEngine):
        n = -1

        def step(self, batch, share):
            done = super().step(batch, share)
            self.n += 1
            return change(self.n, done, self)

    monkeypatch.setattr(trial_room, "LocalEngine", Sabotaged)


def run_with_messages(trial, folder):
    messages = []
    corpus = open_corpus(folder)
    plain = {key: value for key, value in msgspec.to_builtins(trial).items() if value != math.inf}
    files = {"train": str(folder / corpus.train_file), "held_out": str(folder / corpus.held_out_file)}
    try:
        run({"trial": plain, "corpus": corpus.to_dict(), **files}, messages.append)
    except DivergedError as error:
        return messages, error
    return messages, None


def test_a_spike_of_the_loss_is_a_finding_with_its_step_and_batch(corpus_folder, monkeypatch):
    sabotage(monkeypatch, lambda n, done, _: replace(done, loss=done.loss + 3 * (40 <= n < 46)))
    messages, error = run_with_messages(replace(TRIAL, horizons=(16384,)), corpus_folder)
    assert error is None
    (found,) = (message for message in messages if message["kind"] == "finding")
    assert found["code"] == "TRN120"
    assert "t: the loss rose from" in found["text"]
    assert "step 40, token " in found["text"]
    assert found["hint"]


def test_a_gradient_that_is_no_number_ends_the_trial_with_step_batch_and_layer(corpus_folder, monkeypatch):
    def poison(n, done, engine):
        if n < 7:
            return done
        engine.model.down.grad[1] = math.nan
        return replace(done, gradient_norm=math.nan)

    sabotage(monkeypatch, poison)
    messages, error = run_with_messages(TRIAL, corpus_folder)
    assert error.part == "gradient of down, layer 1"
    assert error.place.step == 7
    first, last = error.place.sequences
    assert error.place.tokens == first * 32 < last * 32
    text = f"at step 7, token {error.place.tokens}, sequences {first} to {last}"
    assert text in str(error)
    assert [message["code"] for message in messages if message["kind"] == "finding"] == ["TRN121"]


def test_a_trial_of_default_settings_has_no_findings(corpus_folder):
    messages, _ = run_with_messages(TRIAL, corpus_folder)
    assert not [message for message in messages if message["kind"] == "finding"]


def test_many_half_precision_steps_left_out_are_a_finding(corpus_folder, monkeypatch):
    sabotage(monkeypatch, lambda n, done, _: replace(done, gradient_norm=math.inf) if n % 5 == 0 else done)
    messages, error = run_with_messages(replace(TRIAL, precision="fp16"), corpus_folder)
    assert error is None
    assert [message["code"] for message in messages if message["kind"] == "finding"] == ["TRN122"]


def test_speed_is_measured_for_any_shape_and_recipe():
    for shape, recipe, precision in (
        (SHAPE, Recipe(), "fp32"),
        (replace(SHAPE, head_norms=True), Recipe(optimizer="adafactor"), "bf16"),
    ):
        payload = {"shapes": [msgspec.to_builtins(shape)], "recipe": msgspec.to_builtins(recipe)}
        payload |= {"position": 1e5, "seconds": 0.05, "threads": 1, "precision": precision}
        done = speed.run(payload, lambda _: None)
        assert min(*done["tokens_per_second"], *done["undisturbed"]) > 0


def test_a_trial_says_what_it_used_where_a_power_is_stated(corpus_folder):
    points, result = train(TRIAL, corpus_folder, power={"watts": 100.0})
    energies = [point["energy_j"] for point in points]
    assert 0 < energies[0] < energies[1] <= result["energy"]["joules"]
    assert result["energy"]["joules"] <= 100 * 2 * points[-1]["seconds"]  # a share of the machine's
    assert result["energy"]["source"].endswith("share of processor time")
