"""Which sequences a run reads from several sources, in stages, by difficulty, and again and again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.corpora.corpus import Corpus, SourceShare
from scalescope.corpora.curriculum import BINS
from scalescope.corpora.index import RECORD
from scalescope.corpora.interleaving import BLOCK, Interleaving
from scalescope.corpora.readers import open_reader
from scalescope.corpora.reading import Reading, Stage
from scalescope.corpora.sampling import Sampler
from scalescope.errors import InputError

CONTEXT = 8
SIZES = {"prose": 4000, "code": 2000, "mail": 6000}


@pytest.fixture
def corpus(tmp_path):
    """Tokens that say where they stand, in three sources of weights 0.5, 0.3, 0.2."""
    total = sum(SIZES.values())
    np.arange(total, dtype="<u4").tofile(tmp_path / "train.bin")
    starts = np.cumsum([0, *SIZES.values()])
    shares = tuple(
        SourceShare(
            name=name,
            weight=weight,
            train_start=int(start),
            train_tokens=size,
            train_documents=size // 100,
            held_out_start=0,
            held_out_tokens=1,
            held_out_documents=1,
        )
        for (name, size), start, weight in zip(SIZES.items(), starts, (0.5, 0.3, 0.2), strict=False)
    )
    return Corpus(
        name="counting",
        n_documents=total // 100 + 1,
        n_held_out_documents=1,
        n_duplicates=0,
        n_bytes=1,
        train_tokens=total,
        held_out_tokens=1,
        train_bytes=1,
        held_out_bytes=1,
        bytes_per_token=1.0,
        vocabulary=100_000,
        tokenizer="counting",
        tokenizer_digest="",
        digest="",
        manifest="",
        train_file=str(tmp_path / "train.bin"),
        sources=shares,
    )


def sources_of(rows):
    """The source of every sequence."""
    return np.searchsorted(np.cumsum(list(SIZES.values())), rows[:, 0], side="right")


class TestInterleaving:
    @settings(deadline=None, max_examples=40)
    @given(
        weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=6),
        start=st.integers(0, 3 * BLOCK),
        n=st.integers(1, 2 * BLOCK),
    )
    def test_every_source_keeps_its_share_and_gives_its_sequences_in_order(self, weights, start, n):
        shares = np.array(weights) / sum(weights)
        schedule = Interleaving(tuple(shares), 3)
        sources, numbers = schedule.places(start, n)
        whole, _ = Interleaving(tuple(shares), 3).places(0, start + n)
        np.testing.assert_array_equal(sources, whole[start:])
        for source in range(len(shares)):
            first = int((whole[:start] == source).sum())
            assert schedule.counts(start)[source] == first
            mine = numbers[sources == source]
            np.testing.assert_array_equal(mine, first + np.arange(len(mine)))
        blocks = (start + n) // BLOCK
        counts = np.bincount(whole[: blocks * BLOCK], minlength=len(shares))
        np.testing.assert_allclose(counts, blocks * BLOCK * shares, atol=1.001)


def test_sources_are_read_at_the_weights_of_the_recipe(corpus):
    rows = open_reader(corpus, CONTEXT, 0).take(0, BLOCK)
    np.testing.assert_allclose(np.bincount(sources_of(rows)) / BLOCK, [0.5, 0.3, 0.2], atol=2 / BLOCK)
    assert (np.diff(rows, axis=1) == 1).all()
    assert not np.array_equal(np.sort(sources_of(rows[:100])), sources_of(rows[:100]))


def test_other_weights_may_leave_a_source_out(corpus):
    rows = open_reader(corpus, CONTEXT, 0, Reading(weights={"code": 3, "mail": 1})).take(0, BLOCK)
    np.testing.assert_allclose(np.bincount(sources_of(rows)) / BLOCK, [0, 0.75, 0.25], atol=2 / BLOCK)


@pytest.mark.parametrize("start", [0, 1, 777, BLOCK - 3, 2 * BLOCK + 5])
def test_a_run_goes_on_anywhere_with_any_batch(corpus, start):
    stages = (Stage(until=0.3, weights={"prose": 1}), Stage(until=1, weights={"code": 1, "mail": 2}))
    for reading in (Reading(), Reading(weights={"mail": 1, "code": 1}), Reading(stages=stages)):
        whole = open_reader(corpus, CONTEXT, 5, reading, n_sequences=2 * BLOCK).take(0, start + 50)
        again = open_reader(corpus, CONTEXT, 5, reading, n_sequences=2 * BLOCK)
        parts = [again.take(start + at, 10) for at in range(0, 50, 10)]
        np.testing.assert_array_equal(np.concatenate(parts), whole[start:])


def test_stages_change_the_shares_where_they_end(corpus):
    stages = (
        Stage(until=0.25, weights={"prose": 1}),
        Stage(until=0.75, weights={"prose": 1, "code": 1}),
        Stage(until=1, weights={"mail": 1}),
    )
    rows = open_reader(corpus, CONTEXT, 0, Reading(stages=stages), n_sequences=1000).take(0, 1000)
    found = sources_of(rows)
    assert set(found[:250]) == {0}
    assert set(found[250:750]) == {0, 1}
    assert set(found[750:]) == {2}


def test_a_source_goes_on_over_a_stage_instead_of_beginning_again(corpus):
    stages = (Stage(until=0.5, weights={"prose": 1}), Stage(until=1, weights={"prose": 1}))
    staged = open_reader(corpus, CONTEXT, 0, Reading(stages=stages), n_sequences=400).take(0, 400)
    assert len(np.unique(staged[:, 0])) == 400  # one epoch has 499 windows: none is read twice


def test_unique_tokens_come_back_every_epoch_and_are_part_of_larger_sets(corpus):
    single = replace(corpus, sources=())
    small, large = (open_reader(single, CONTEXT, 1, Reading(unique_tokens=n * CONTEXT)) for n in (40, 90))
    first, second = small.take(0, 40), small.take(40, 40)
    assert set(first[:, 0]) == set(second[:, 0])
    assert not np.array_equal(first, second)
    assert len(set(first[:, 0])) == 40
    assert set(first[:, 0]) < set(large.take(0, 90)[:, 0])
    assert (small.epoch(80), small.unique_tokens(80), small.unique_tokens(7)) == (2, 320, 56)


def test_unique_tokens_of_several_sources_keep_the_shares(corpus):
    reader = open_reader(corpus, CONTEXT, 1, Reading(unique_tokens=100 * CONTEXT))
    rows = reader.take(0, BLOCK)
    counts = [len(np.unique(rows[sources_of(rows) == source, 0])) for source in range(3)]
    assert counts == [50, 30, 20]
    assert reader.unique_tokens(BLOCK) == 100 * CONTEXT
    assert reader.epoch(BLOCK) == pytest.approx(BLOCK / 100, rel=0.01)


def with_index(corpus, tmp_path, tokens):
    index = np.zeros(len(tokens), dtype=RECORD)
    index["tokens"] = tokens
    index["start"] = np.concatenate([[0], np.cumsum(tokens)[:-1]])
    index["compressed"] = 1 / np.asarray(tokens)
    index.tofile(tmp_path / "train.index")
    return replace(corpus, sources=(), n_documents=len(tokens) + 1)


@pytest.mark.parametrize(("order", "sign"), [("length", 1), ("compressibility", -1), ("difficulty", 1)])
def test_a_curriculum_reads_the_run_from_one_end_of_its_score(corpus, tmp_path, order, sign):
    tokens = np.random.default_rng(0).permutation(np.arange(20, 180, 2))
    tokens = np.append(tokens, sum(SIZES.values()) - tokens.sum())
    made = with_index(corpus, tmp_path, tokens)
    tokens.astype("<f4").tofile(tmp_path / "train.difficulty")
    plain = open_reader(made, CONTEXT, 2).take(0, 640)
    rows = open_reader(made, CONTEXT, 2, Reading(order=order), n_sequences=640).take(0, 640)
    assert set(rows[:, 0]) == set(plain[:, 0])  # the same sequences in another order
    owner = np.searchsorted(np.cumsum(tokens), rows[:, 0], side="right")
    steps = sign * tokens[owner].reshape(BINS, -1)
    assert (steps[:-1].max(1) <= steps[1:].min(1)).all()
    assert (np.diff(steps) < 0).any()  # shuffled inside a step


def test_what_cannot_be_read_is_refused(corpus, tmp_path):
    def refused(reading, match, n_sequences=100):
        with pytest.raises(InputError, match=match):
            open_reader(corpus, CONTEXT, 0, reading, n_sequences=n_sequences)

    refused(Reading(weights={"proze": 1}), "no source 'proze'")
    refused(Reading(weights={"prose": 0}), "all weights are zero")
    refused(Reading(weights={"prose": 1, "code": 1e-6}), "share of 1e-06")
    refused(
        Reading(stages=(Stage(until=0.5, weights={"prose": 1}), Stage(until=1, weights={"code": 1}))),
        "known length",
        n_sequences=0,
    )
    refused(Reading(order="length"), "no index")
    refused(Reading(order="length", weights={"code": 1}), "exclude each other")
    refused(Reading(unique_tokens=10**6), "unique tokens are")
    with pytest.raises(InputError, match="no order is called 'lenght'"):
        Reading(order="lenght")
    with pytest.raises(InputError, match=r"stages end at 0\.5, 0\.4"):
        Reading(stages=(Stage(until=0.5, weights={}), Stage(until=0.4, weights={})))
    with pytest.raises(InputError, match="1000 sequences of 8"):
        Sampler(np.arange(100), CONTEXT, 0, unique_tokens=8000)
