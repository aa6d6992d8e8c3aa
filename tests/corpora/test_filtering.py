"""Corpora that differ in their filters alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalescope.corpora.building import read_recipe
from scalescope.corpora.filtering import filtered_corpus, parse_filters
from scalescope.corpora.filters import FILTERS
from scalescope.corpora.index import map_index
from scalescope.errors import InputError

RECIPE = """
[[source]]
name = "prose"
path = "prose"

[[source]]
name = "notes"
path = "notes"

[filters.length]
least_words = 40

[duplicates]
exact = true
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), size=n)) for n in draw.integers(3, 9, 200)]
    for name, count, least, most in (("prose", 60, 60, 400), ("notes", 60, 5, 100)):
        (folder / name).mkdir()
        for number in range(count):
            text = " ".join(draw.choice(words, size=int(draw.integers(least, most))))
            (folder / name / f"{number:02}.txt").write_text(text)
    (folder / "recipe.toml").write_text(RECIPE)
    return read_recipe(folder / "recipe.toml")


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    """An arm without filters and one with the recipe's."""
    folder = tmp_path_factory.mktemp("arms")
    return {
        name: filtered_corpus(recipe, name, folder / name, folder / "base") for name in ("none", "length")
    }


def test_arms_have_the_same_held_out_text_and_tokens(made):
    none, length = made["none"], made["length"]
    assert np.array_equal(none.held_out(), length.held_out())
    assert none.tokenizer_digest == length.tokenizer_digest
    assert none.digest != length.digest
    spans = [(one.held_out_start, one.held_out_tokens) for one in none.sources]
    assert spans == [(one.held_out_start, one.held_out_tokens) for one in length.sources]


def test_an_arm_keeps_exactly_the_documents_that_its_filters_keep(made):
    none, length = made["none"], made["length"]
    n_train = none.n_documents - none.n_held_out_documents
    index = map_index(_train_index(none), n_train)
    text = np.asarray(none.train()).tobytes()
    documents = [text[int(row["start"]) : int(row["start"]) + int(row["tokens"])] for row in index]
    wanted = b"".join(one for one in documents if len(one.split()) >= 40)
    assert np.asarray(length.train()).tobytes() == wanted
    assert 0 < length.train_tokens < none.train_tokens
    assert sum(source.train_tokens for source in length.sources) == length.train_tokens
    assert sum(source.weight for source in length.sources) == pytest.approx(1)
    kept = map_index(_train_index(length), length.n_documents - length.n_held_out_documents)
    assert kept["start"].tolist() == [0, *np.cumsum(kept["tokens"].astype(int))[:-1].tolist()]


def _train_index(corpus):
    return Path(corpus.train_file).parent / "train.index"


def test_an_arm_is_opened_again_and_another_one_is_refused_in_its_place(recipe, made, tmp_path):
    folder = tmp_path / "arm"
    first = filtered_corpus(recipe, "length", folder, tmp_path / "base")
    assert filtered_corpus(recipe, "length", folder, tmp_path / "base") == first
    assert first.digest == made["length"].digest
    with pytest.raises(InputError, match="another corpus than that of the filters words"):
        filtered_corpus(recipe, "words", folder, tmp_path / "base")


def test_filters_are_those_of_the_recipe_or_named_with_its_limits(recipe):
    assert parse_filters("none", recipe) == ()
    assert parse_filters("recipe", recipe) == recipe.filters
    length, other = parse_filters("control+length", recipe)[::-1]
    assert length == recipe.filters[0]
    assert other == FILTERS["control"]()
    with pytest.raises(InputError, match="no filter is called 'lenght'"):
        parse_filters("lenght", recipe)


def test_filters_that_do_nothing_are_told(recipe, tmp_path):
    idle = filtered_corpus(recipe, "control", tmp_path / "arm", tmp_path / "base")
    assert [one.code for one in idle.findings if one.code.startswith("COR04")] == ["COR040"]
