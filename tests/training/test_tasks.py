"""What models are asked: sequences by number, the same on any machine, and fixed ones to be judged by."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.corpora import image_sources  # noqa: E402
from scalescope.corpora.corpus import SourceShare  # noqa: E402
from scalescope.corpora.image_sources import FoundImages, Image  # noqa: E402
from scalescope.corpora.images import prepare_images  # noqa: E402
from scalescope.corpora.preparing import prepare_corpus  # noqa: E402
from scalescope.corpora.reading import Reading  # noqa: E402
from scalescope.corpora.sampling import evaluation_starts  # noqa: E402
from scalescope.cost import Patches, Shape  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.tasks.images import cut  # noqa: E402
from scalescope.training.tasks.masked import PLAIN, Masked  # noqa: E402
from scalescope.training.tasks.opening import open_task, read_corpus  # noqa: E402
from scalescope.training.tasks.protocol import IGNORED  # noqa: E402
from scalescope.training.trial import run  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=8, n_layers=1, n_heads=1, n_kv_heads=1, feed_forward=16, vocabulary=256, context=40)
ENCODER = replace(SHAPE, vocabulary=257, causal=False)
MASK = 256
VISION = replace(SHAPE, vocabulary=3, context=4, causal=False, patches=Patches(side=4, patch=2))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    text = tmp_path_factory.mktemp("text")
    for index in range(40):
        (text / f"{index}.txt").write_text(" ".join(f"w{(index * 7 + k * k) % 97};" for k in range(600)))
    return prepare_corpus(str(text), tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def images(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    every = tuple(Image(label=n % 3, pixels=rng.bytes(16)) for n in range(150))
    found = FoundImages(name="noise", side=4, channels=1, classes=("a", "b", "c"), images=every)
    monkeypatch.setattr(image_sources, "SETS", {"noise": lambda: found})
    return prepare_images("noise", tmp_path)


def trial(task="next-token", shape=SHAPE, seed=0):
    return Trial(name="t", shape=shape, seed=seed, horizons=(4000,), task=task, evaluation_tokens=400)


def same(one, other):
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


TASKS = {"next-token": SHAPE, "masked": ENCODER, "images": VISION}


@pytest.mark.parametrize("name", TASKS)
def test_a_sequence_follows_from_its_number_and_the_seed(name, corpus, images):
    read = images if name == "images" else corpus
    task, again, other = (open_task(trial(name, TASKS[name], seed), read) for seed in (0, 0, 1))
    batch = task.batch(0, 200)
    assert same(again.batch(70, 90), batch.rows(slice(70, 160)))
    assert not same(other.batch(0, 200), batch)
    assert same(task.evaluation(), other.evaluation())
    assert task.epoch(0) == 0
    assert len(task.evaluation()) == (30 if name == "images" else 10)


def test_the_next_token_is_asked_for_everywhere(corpus):
    batch = open_task(trial(), corpus).batch(0, 3)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    columns = open_task(trial(), corpus).columns(1.0, 10)
    assert columns["bits_per_byte"] == corpus.bits_per_byte(1.0)
    assert columns["tokens_unique"] == 400
    # Every document ends with a token that is no character.
    assert columns["characters"] == pytest.approx(400, rel=0.01)
    assert columns["characters"] < 400
    assert open_task(trial(), corpus).columns(1.0, 10**9)["tokens_unique"] == corpus.train_tokens


def test_of_each_sequence_the_same_number_of_tokens_is_masked_or_swapped_or_kept(corpus):
    batch = open_task(trial("masked", ENCODER), corpus).batch(0, 3000)
    text = open_task(trial(), corpus).batch(0, 3000).inputs
    asked = batch.targets != IGNORED
    assert (asked.sum(1) == 6).all()
    assert torch.equal(batch.targets[asked], text[asked])
    assert torch.equal(batch.inputs[~asked], text[~asked])
    masked = batch.inputs[asked] == MASK
    unchanged = batch.inputs[asked] == text[asked]
    assert masked.float().mean().item() == pytest.approx(0.8, abs=0.01)
    # A token that is swapped meets itself once in 256 times.
    assert unchanged.float().mean().item() == pytest.approx(0.1 + 0.1 / 256, abs=0.01)
    assert batch.inputs[asked][~masked & ~unchanged].unique().numel() > 200
    places = asked.float().mean(0)
    assert places.min() > 0.12
    assert places.max() < 0.18


def test_plain_masks_hide_every_token_that_is_asked_for(corpus):
    batch = Masked(corpus, ENCODER, 0, 400, PLAIN).batch(0, 50)
    assert (batch.inputs[batch.targets != IGNORED] == MASK).all()


def test_masks_are_new_in_every_epoch(corpus):
    task = Masked(corpus, ENCODER, 0, 400)
    per_epoch = round(1 / task.epoch(1))
    first, second = (task.batch(start, 100).targets != IGNORED for start in (0, per_epoch))
    assert not torch.equal(first, second)


def test_images_are_cut_row_by_row_and_normalised(images):
    pixels = torch.arange(16.0).view(1, 4, 4, 1)
    assert cut(pixels, VISION.patches).tolist() == [
        [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    ]
    task = open_task(trial("images", VISION), images)
    batch = task.batch(0, 120)
    assert batch.inputs.shape == (120, 4, 4)
    assert batch.targets.shape == (120, 1)
    assert batch.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert batch.inputs.std().item() == pytest.approx(1, abs=1e-2)
    assert torch.bincount(batch.targets.flatten()).sum() == 120
    assert task.epoch(180) == 1.5
    assert task.columns(1.0, 180) == {"tokens_unique": 480, "examples": 180, "examples_unique": 120}


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("masked", replace(ENCODER, causal=True), "sees only what stands before"),
        ("masked", replace(ENCODER, vocabulary=256), "the mask, 257; the shape has 256"),
        ("images", VISION, "is a text and no set of images"),
    ],
)
def test_a_shape_or_text_that_does_not_fit_is_refused(name, shape, message, corpus):
    with pytest.raises(InputError, match=message):
        open_task(trial(name, shape), corpus)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("images", {"vocabulary": 4}, "need a shape with vocabulary 3, this one has 4"),
        ("images", {"patches": Patches(side=8, patch=4)}, "need a shape with side 4, this one has 8"),
        ("images", {"patches": Patches(side=4, patch=2, channels=3)}, "with channels 1, this one has 3"),
        ("images", {"patches": None}, "reads patches"),
        ("images", {"causal": True}, "this shape is causal"),
        ("next-token", {}, "is a set of images and no text"),
    ],
)
def test_a_shape_that_does_not_fit_the_images_is_refused(name, changed, message, images):
    with pytest.raises(InputError, match=message):
        open_task(trial(name, replace(VISION, **changed)), images)


def test_what_a_trial_reads_is_known_by_its_schema(corpus, images):
    for one in (corpus, images):
        assert read_corpus(one.to_dict(), one.train_file, one.held_out_file) == one


@pytest.mark.parametrize("name", ["next-token", "masked"])
def test_a_reading_says_how_much_of_a_text_is_read(name, corpus):
    few = replace(trial(name, TASKS[name]), reading=Reading(unique_tokens=400))
    task = open_task(few, corpus)
    windows = task.batch(0, 10)
    assert task.epoch(25) == 2.5
    assert task.columns(1.0, 25)["tokens_unique"] == 400
    if name == "next-token":
        again = task.batch(10, 10).inputs.tolist()
        assert sorted(again) == sorted(windows.inputs.tolist())


def with_sources(corpus):
    """The same text as two sources of half of the tokens each."""
    half, held = corpus.train_tokens // 2, corpus.held_out_tokens // 2
    sources = tuple(
        SourceShare(
            name=name,
            weight=0.5,
            train_start=number * half,
            train_tokens=half,
            train_documents=1,
            held_out_start=number * held,
            held_out_tokens=held,
            held_out_documents=1,
        )
        for number, name in enumerate(("first", "second"))
    )
    return replace(corpus, sources=sources)


@pytest.mark.parametrize("task", ["next-token", "masked"])
def test_held_out_sequences_of_a_source_lie_within_it(corpus, task):
    of_task = trial(task, ENCODER if task == "masked" else SHAPE)
    assert open_task(of_task, corpus).parts() == {}
    mixed = with_sources(corpus)
    parts = open_task(of_task, mixed).parts()
    starts = evaluation_starts(mixed, SHAPE.context, of_task.evaluation_tokens)
    assert list(parts) == ["first", "second"]
    for source in mixed.sources:
        own = starts[parts[source.name]]
        assert len(own) > 2
        assert own.min() >= source.held_out_start
        assert own.max() + SHAPE.context < source.held_out_start + source.held_out_tokens


def test_a_trial_tells_the_loss_on_every_source(corpus):
    mixed = with_sources(corpus)
    one = replace(trial(), horizons=(SHAPE.context * 8,), reading=Reading(weights={"first": 1.0}))
    told = []
    payload = {"trial": msgspec.to_builtins(one), "corpus": mixed.to_dict()}
    payload["trial"].pop("seconds")
    run(payload | {"train": mixed.train_file, "held_out": mixed.held_out_file}, told.append)
    point = next(message for message in told if message["kind"] == "point")
    losses = point["loss_by_source"]
    assert set(losses) == {"first", "second"}
    assert min(losses.values()) - 1e-6 <= point["loss"] <= max(losses.values()) + 0.05
