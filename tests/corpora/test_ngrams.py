"""Numbers of words and n-grams: equal for equal runs, different for others, the same for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.corpora.ngrams import find_words, hash_bytes, hash_ngrams, hash_words


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 14))
def test_n_grams_have_equal_numbers_exactly_if_they_are_equal(words, n):
    numbers = hash_ngrams(hash_words(words), n).tolist()
    runs = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    assert len(numbers) == len(runs)
    assert len(set(zip(runs, numbers, strict=True))) == len(set(runs)) == len(set(numbers))


def test_order_counts():
    assert len(set(hash_ngrams(hash_words(["a", "b", "a", "a", "b"]), 2).tolist())) == 3


def test_numbers_do_not_change_between_versions():
    # Stored signatures and digests depend on them.
    assert hash_words(["toka"]).tolist() == [0x24D0C3251AB9DB6A]
    assert hash_ngrams(hash_bytes(b"abcdef"), 5).tolist() == [14360894802607618862, 17909778634255855860]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One, two_2!", ["one", "two_2"]),
        ("Ünï çode", ["ünï", "çode"]),
        ("...", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_lower_case(text, words):
    assert find_words(text) == words


def test_a_lone_surrogate_is_a_word_like_any_other():
    assert hash_words(["\ud800"]).dtype == np.uint64
