"""Trials that begin where another ended, on another text."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("safetensors", reason="needs the extra train")

from scalescope.corpora.preparing import prepare_corpus  # noqa: E402
from scalescope.cost import Patches, Shape  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.trial import run  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402
from scalescope.training.weights import load_weights  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=8, n_layers=1, n_heads=1, n_kv_heads=1, feed_forward=24, vocabulary=256, context=32)
TRIAL = Trial(name="first", shape=SHAPE, seed=0, horizons=(16384,), evaluation_tokens=2048)


def make_corpus(folder, pattern):
    text = folder / "text"
    text.mkdir(parents=True)
    for index in range(40):
        words = " ".join(pattern.format((index * 7 + k * k) % 97, k % 13) for k in range(400))
        (text / f"{index}.txt").write_text(words)
    return prepare_corpus(str(text), folder / "corpus")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return make_corpus(folder / "a", "word{} = {};"), make_corpus(folder / "b", "word{} -> {}.")


def train(trial, corpus, **more):
    plain = msgspec.to_builtins(trial)
    del plain["seconds"]
    messages = []
    paths = {"train": corpus.train_file, "held_out": corpus.held_out_file}
    run({"trial": plain, "corpus": corpus.to_dict(), **paths, **more}, messages.append)
    return [message for message in messages if message["kind"] == "point"]


@pytest.fixture(scope="module")
def kept(corpora, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "deep" / "first.safetensors"
    train(TRIAL, corpora[0], keep=str(path))
    return path


def test_kept_weights_say_what_they_were_trained_on(kept, corpora):
    weights, about = load_weights(kept)
    assert (about.shape, about.tokens, about.trial) == (SHAPE, 16384, "first")
    assert (about.corpus_digest, about.tokenizer) == (corpora[0].digest, "bytes")
    assert weights["embedding"].shape == (256, 8)
    assert [path.name for path in kept.parent.iterdir()] == ["first.safetensors"]


def test_a_trial_that_begins_from_weights_is_ahead_of_one_that_does_not(kept, corpora):
    short = replace(TRIAL, name="second", horizons=(1024,))
    (scratch,) = train(short, corpora[1])
    (tuned,) = train(replace(short, start=str(kept)), corpora[1])
    # Seeds spread the losses by 0.25 and 0.02 at most; the gap is at least 0.33.
    assert tuned["loss"] < scratch["loss"] - 0.2
    assert (tuned["tokens"], tuned["tokens_pretraining"]) == (1024, 16384)
    assert "tokens_pretraining" not in scratch


def test_tokens_add_up_along_a_chain_and_a_payload_may_say_where_the_file_is(kept, corpora, tmp_path):
    trial = replace(TRIAL, horizons=(1024,), start="not here")
    train(trial, corpora[1], start=str(kept), keep=str(tmp_path / "w"))
    assert load_weights(tmp_path / "w")[1].tokens == 16384 + 1024


def test_a_tokenizer_that_does_not_match_the_shards_is_refused(kept, corpora):
    other = replace(corpora[1], tokenizer="other.json", tokenizer_digest="0123456789abcdef")
    with pytest.raises(
        InputError,
        match=r"a tokenizer that does not match the shards: .* with bytes \(.*other\.json \(01234567\)",
    ):
        train(replace(TRIAL, start=str(kept)), other)


def test_weights_of_another_shape_and_no_weights_at_all_are_refused(kept, corpora, tmp_path):
    with pytest.raises(InputError, match=r"first\.safetensors: qkv is \(1, 8, 24\), the model needs"):
        train(replace(TRIAL, start=str(kept), shape=replace(SHAPE, n_layers=2)), corpora[1])
    with pytest.raises(InputError, match="cannot read the weights"):
        train(replace(TRIAL, start=str(tmp_path / "none")), corpora[1])


def test_a_trial_that_was_cut_leaves_no_weights(corpora, tmp_path):
    plain = replace(TRIAL, horizons=(1024, 10**9), first_horizon=1024)
    messages = []
    paths = {"train": corpora[0].train_file, "held_out": corpora[0].held_out_file}
    trial = msgspec.to_builtins(plain) | {"seconds": 0.5}
    payload = {"trial": trial, "corpus": corpora[0].to_dict(), **paths, "keep": str(tmp_path / "w")}
    assert run(payload, messages.append)["cut"] == [10**9]
    assert not (tmp_path / "w").exists()


def test_an_encoder_learns_to_guess_masked_tokens(corpora):
    shape = replace(SHAPE, vocabulary=257, causal=False)
    trial = replace(TRIAL, shape=shape, task="masked", horizons=(1024, 8192))
    early, point = train(trial, corpora[0])
    assert point["loss"] < early["loss"] < 5.55  # nats of guessing among 257
    assert "bits_per_byte" not in point
    assert point["tokens_unique"] == 8192


def test_a_vision_transformer_learns_the_digits(tmp_path):
    pytest.importorskip("sklearn", reason="needs the extra vision")
    from scalescope.corpora.images import prepare_images

    digits = prepare_images("digits", tmp_path)
    shape = replace(
        SHAPE,
        width=16,
        vocabulary=10,
        context=16,
        causal=False,
        positions="learned",
        patches=Patches(side=8, patch=2),
    )
    trial = replace(TRIAL, shape=shape, task="images", horizons=(10_000,))
    (point,) = train(trial, digits)
    assert point["loss"] < 1.8  # guessing gives 2.30
    assert point["epochs"] == pytest.approx(10_000 / 16 / digits.train_images, rel=0.01)
    assert point["examples_unique"] == point["examples"] == 10_000 // 16
    assert point["tokens_unique"] == 10_000
