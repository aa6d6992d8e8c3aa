"""Held-out text inside training documents: found where it is, and not where it is not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from scalescope.corpora.building.contamination import Search, collect_ngrams, overlaps, publish_ngrams
from scalescope.corpora.building.recipe import ContaminationRecipe

WORDS = [f"w{number}" for number in range(3000)]


def text(seed: int, n: int = 200) -> list[str]:
    return random.Random(seed).choices(WORDS, k=n)


def shares(held_out, training, folder, *, most=1 << 24, **options) -> list[float]:
    wanted = ContaminationRecipe(**options)
    found = collect_ngrams([[" ".join(words).encode() for words in held_out]], wanted, most=most)
    below = publish_ngrams(found, folder)
    search = Search(folder=folder, wanted=wanted, below=below)
    return overlaps(search, (np.arange(len(training)), [" ".join(words).encode() for words in training]))[0]


def test_a_copy_shares_all_and_another_text_nothing(tmp_path):
    assert shares([text(0), text(1)], [text(1), text(2)], tmp_path) == [1.0, 0.0]


def test_the_share_of_a_part_is_that_of_its_n_grams(tmp_path):
    half = text(0)[:100] + text(9, 100)
    (share,) = shares([text(0)], [half], tmp_path)
    assert share == pytest.approx((100 - 12) / 188)


def test_a_copy_inside_a_longer_text_counts_in_full(tmp_path):
    assert shares([text(0, 50)], [text(9, 2000) + text(0, 50) + text(8, 2000)], tmp_path) == [1.0]


def test_one_phrase_that_many_texts_have_is_not_enough(tmp_path):
    phrase = text(5, 20)
    (share,) = shares([text(0) + phrase], [text(1) + phrase], tmp_path)
    assert 0 < share < ContaminationRecipe().threshold


def test_a_near_duplicate_is_found(tmp_path):
    copy = text(0)
    for place in range(10, 200, 40):
        copy[place] = "other"
    (share,) = shares([text(0)], [copy], tmp_path)
    assert share > ContaminationRecipe().threshold


def test_bytes_serve_writing_without_spaces(tmp_path):
    line = "".join(chr(0x4E00 + code) for code in np.random.default_rng(0).integers(0, 5000, 200))
    found = shares([[line]], [[line[:150]], [line[::-1]]], tmp_path, ngram=50, unit="bytes")
    assert found == [1.0, 0.0]


def test_texts_shorter_than_an_n_gram_share_nothing(tmp_path):
    assert shares([text(0, 5), text(1)], [text(0, 5), []], tmp_path) == [0.0, 0.0]


def test_with_few_n_grams_kept_the_shares_are_about_the_same(tmp_path):
    held_out = [text(seed, 400) for seed in range(40)]
    training = [text(seed, 200) + text(100 + seed, 200) for seed in range(40)]
    found = np.array(shares(held_out, training, tmp_path, most=2000))
    assert found.mean() == pytest.approx(0.48, abs=0.05)
    assert (found > 0.2).all()
