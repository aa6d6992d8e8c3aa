"""Recipes: what they may hold, and one line with the place where they hold anything else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from scalescope.corpora.building.recipe_files import read_recipe, recipe_as_plain, recipe_from
from scalescope.corpora.filters import FILTERS
from scalescope.errors import InputError

WHOLE = """
seed = 4
samples = 2
[[source]]
name = "web"
path = "web.jsonl.gz"
column = "content"
weight = 2
[[source]]
name = "code"
weight = 0.5
[filters.symbols]
most_digits = 0.1
[filters.length]
[duplicates]
exact = true
near = {threshold = 0.7, ngram = 13, unit = "bytes", permutations = 64}
[held_out]
share = 0.1
[contamination]
ngram = 8
threshold = 0.5
[tokenizer]
kind = "bpe"
vocabulary = 1000
[shards]
size = 5000
"""


def recipe_of(text: str):
    return recipe_from(tomllib.loads(text), Path())


def test_every_part_of_a_recipe_is_read():
    recipe = recipe_of(WHOLE)
    assert [source.name for source in recipe.sources] == ["web", "code"]
    assert [source.weight for source in recipe.sources] == [2.0, 0.5]
    assert recipe.sources[1].path is None
    assert [one.name for one in recipe.filters] == ["length", "symbols"]  # in the order of application
    assert recipe.filters[1].most_digits == 0.1
    assert recipe.duplicates.near.unit == "bytes"
    assert (recipe.held_out.share, recipe.contamination.ngram, recipe.shards.size) == (0.1, 8, 5000)
    assert (recipe.tokenizer.vocabulary, recipe.seed, recipe.samples) == (1000, 4, 2)


def test_what_is_written_back_reads_the_same():
    recipe = recipe_of(WHOLE)
    plain = recipe_as_plain(recipe)
    plain["tokenizer"].pop("path")
    for source in plain["source"]:
        source.update(path=source["path"] or "x")
    again = recipe_from(plain, Path())
    assert recipe_as_plain(again)["filters"] == recipe_as_plain(recipe)["filters"]
    assert (again.duplicates, again.shards) == (recipe.duplicates, recipe.shards)


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_can_be_switched_on_alone(name):
    recipe = recipe_of(f'[[source]]\nname = "a"\n[filters.{name}]')
    assert recipe.filters == (FILTERS[name](),)


SOURCE = '[[source]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "no source", "Add"),
        (SOURCE + "[filter]", "filter is not known", "filters"),
        (SOURCE + "[filters.lenght]", "filters.lenght is not known", "length"),
        (
            SOURCE + "[filters.length]\nleast_word = 3",
            "filters.length.least_word is not known",
            "least_words",
        ),
        (SOURCE + '[filters.length]\nleast_words = "3"', "filters.length.least_words = '3': expected", ""),
        (SOURCE + "[filters.length]\nleast_words = 9\nmost_words = 3", "filters.length: least_words = 9", ""),
        (SOURCE + "filters = 3", "source number 1.filters is not known", ""),
        (SOURCE + "[duplicates]\nnear = {treshold = 1}", "duplicates.near.treshold", "threshold"),
        (SOURCE + "[duplicates]\nnear = true", "duplicates.near must be a table", ""),
        (SOURCE + "[duplicates]\nexact = 1", "duplicates.exact = 1: expected", ""),
        (SOURCE + "[duplicates.near]\nthreshold = 0.1", "duplicates.near: threshold must be from 0.3", ""),
        (SOURCE + "[held_out]\nshare = 0.9", "held_out: share must be", ""),
        (SOURCE + "[contamination]\nthreshold = 0", "contamination: threshold", ""),
        (SOURCE + '[tokenizer]\nkind = "word"', "tokenizer.kind = 'word'", ""),
        (SOURCE + '[tokenizer]\nkind = "file"', "tokenizer: path goes with", ""),
        (SOURCE + "[tokenizer]\nvocabulary = 100", "tokenizer: vocabulary must be from 257", ""),
        (SOURCE + "[shards]\nsize = 0", "shards: size must be at least 1", ""),
        (SOURCE + SOURCE, "two sources are called 'a'", ""),
        (SOURCE + 'weight = 1\n[[source]]\nname = "b"', "source 'b' has no weight", "every source"),
        (SOURCE + "weight = -1", "source number 1: weight must be a positive", ""),
        ("[[source]]\npath = 'a'", "source number 1 has no name", "Add name"),
        ("seed = -1\n" + SOURCE, "seed must be", ""),
        ("[source]\nname = 'a'", "source must be written", ""),
        ("seed = ", "not TOML", ""),
    ],
)
def test_a_wrong_recipe_is_one_line_with_the_place(text, message, hint, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.hint


def test_an_absent_recipe_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the recipe .*none.toml"):
        read_recipe(tmp_path / "none.toml")
