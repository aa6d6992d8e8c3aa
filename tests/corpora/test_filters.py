"""Each filter: what it keeps, what it removes and why; all of them: the same contract."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.corpora.filters import FILTERS, Text, first_outside
from scalescope.corpora.filters.repeated_ngrams import repeated_share
from scalescope.errors import InputError


def prose(seed: int, n_words: int = 300) -> bytes:
    """Words of two to nine letters in sentences, lines and paragraphs."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(n_words)]
    lines = [" ".join(words[at : at + 10]).capitalize() + "." for at in range(0, n_words, 10)]
    return "\n".join(line + "\n" * (number % 4 == 3) for number, line in enumerate(lines)).encode()


REMOVED = {
    "control": [(prose(0) + b"\x01" * 9, "control characters"), (prose(0) + b"\xff" * 9, "not UTF-8")],
    "length": [(prose(0, 49), "words below 50"), (b"a " * 100_001, "words above 100,000")],
    "line_length": [(b"a" * 2500 + b"\n" + b"b\n" * 99, "longest"), (b"word " * 60, "mean line length")],
    "symbols": [(b"!?; " * 99, "symbols"), (b"12 x " * 99, "digits"), ("§¶ a ".encode() * 99, "symbols")],
    "words": [(b"ab " * 99, "mean word length below"), (b"12345 " * 99, "words with a letter")],
    "bullets": [("• one\n".encode() * 99, "bullet"), (b"and so on...\n" * 99, "ellipsis")],
    "repeated_lines": [
        (b"the same\n" * 9, "repeated lines"),
        (prose(0, 40) + b"\n" + 2 * (b"x" * 300 + b"\n"), "bytes in repeated lines"),
        (prose(1, 400) + (b"\n\none\ntwo\n\n" + b"\n\n".join(b"%d" % n for n in range(3))) * 40, "repeated"),
    ],
    "repeated_ngrams": [
        (b"spam egg " * 50 + prose(0, 60), "top 2-gram"),
        (prose(0, 60) + b" " + prose(1, 20) + b" " + prose(1, 20) + b" " + prose(1, 20), "repeated 5-grams"),
    ],
    "compressibility": [(b"ab" * 4000, "below 0.1"), (random.Random(0).randbytes(4000), "above 0.9")],
}


@pytest.mark.parametrize(
    ("name", "document", "why"), [(name, *case) for name, cases in REMOVED.items() for case in cases]
)
def test_it_removes_what_it_is_for_and_says_why(name, document, why):
    outside = first_outside(FILTERS[name](), Text(document))
    assert outside is not None
    assert why in outside.reason


@pytest.mark.parametrize("name", FILTERS)
class TestFilter:
    def test_it_keeps_ordinary_text(self, name):
        assert all(first_outside(FILTERS[name](), Text(prose(seed))) is None for seed in range(5))

    def test_it_is_tried_above_and_says_where_it_comes_from(self, name):
        assert name in REMOVED
        assert FILTERS[name].name == name
        assert FILTERS[name].source

    def test_it_works_without_words_lines_or_letters(self, name):
        for document in (b".", b"\n", b"\xff\xfe", b"\0"):
            first_outside(FILTERS[name](), Text(document))

    def test_a_limit_that_cannot_be_is_refused(self, name):
        wanted = FILTERS[name]()
        limit = next(field.name for field in fields(wanted) if field.name not in {"most_longest"})
        with pytest.raises(InputError, match=limit):
            replace(wanted, **{limit: -1})


def test_a_measure_on_the_limit_is_kept():
    wanted = FILTERS["length"](least_words=50, most_words=50)
    assert first_outside(wanted, Text(b"word " * 50)) is None
    assert first_outside(wanted, Text(b"word " * 51)).value == 51


def by_hand(words: list[str], n: int) -> float:
    """The share of characters inside n-grams that were there before, one n-gram after the other."""
    seen: set[tuple[str, ...]] = set()
    covered = set()
    for at in range(len(words) - n + 1):
        run = tuple(words[at : at + n])
        if run in seen:
            covered.update(range(at, at + n))
        seen.add(run)
    return sum(len(words[at]) for at in covered) / max(sum(map(len, words)), 1)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=40))
def test_repeated_shares_are_those_counted_by_hand_and_fall_with_n(words):
    text = Text(" ".join(words).encode())
    shares = [repeated_share(text, n) for n in range(1, 8)]
    assert shares == pytest.approx([by_hand(words, n) for n in range(1, 8)])
    assert shares == sorted(shares, reverse=True)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=2, max_size=40))
def test_the_top_n_gram_is_the_most_frequent(words):
    runs = Counter(itertools.pairwise(words))
    total = sum(map(len, words))
    most = max(runs.values())
    shares = {
        min(1.0, most * (len(a) + len(b)) / total) if most > 1 else 0.0
        for (a, b), n in runs.items()
        if n == most
    }
    measure = next(iter(FILTERS["repeated_ngrams"]().measures(Text(" ".join(words).encode()))))
    assert any(measure.value == pytest.approx(share) for share in shares)


def test_symbols_and_digits_are_counted_alike_in_all_writing():
    text = Text("a1٢é§!_ \n".encode())
    values = [measure.value for measure in FILTERS["symbols"]().measures(text)]
    assert values == pytest.approx([2 / 9, 2 / 9])
