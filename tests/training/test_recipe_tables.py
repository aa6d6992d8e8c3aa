"""Recipes as tables of TOML."""

from __future__ import annotations

import pytest

from scalescope.errors import InputError
from scalescope.training.recipe import Recipe
from scalescope.training.recipe_tables import read_recipe, recipe_of


def test_a_table_changes_what_it_names_and_nothing_else():
    found = recipe_of({"schedule": "cosine", "clip": 0.5}, Recipe(momentum=0.8))
    assert found == Recipe(schedule="cosine", clip=0.5, momentum=0.8)


def test_some_rates_leave_the_others_to_the_optimiser_of_the_same_table():
    found = recipe_of({"rates": {"matrix": 1}, "optimizer": "lion"})
    assert found.peaks.matrix == 1
    assert found.peaks.head == Recipe(optimizer="lion").peaks.head


def test_a_file_is_read_and_its_name_stands_in_messages(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('optimizer = "adamw"\n[rates]\nhead = 0.01\n')
    assert read_recipe(path).peaks.head == 0.01
    path.write_text("optimizer = [")
    with pytest.raises(InputError, match=r"recipe\.toml: cannot be read as TOML"):
        read_recipe(path)
    with pytest.raises(InputError, match="cannot be read as TOML"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"optimiser": "lion"}, "recipe.toml: no setting is called 'optimiser'", "Did you mean optimizer?"),
        ({"optimizer": "lions"}, "recipe.toml: optimizer:", "Did you mean lion?"),
        ({"clip": "1"}, "recipe.toml: clip: Expected `float`, got `str`", "1.0 by default"),
        ({"rates": {"matrx": 1}}, "recipe.toml: rates: no setting is called 'matrx'", "Did you mean matrix?"),
        ({"rates": {"head": "x"}}, "recipe.toml: rates: head: Expected `float`", "Give a number"),
        ({"warmup_steps": 1.5}, "recipe.toml: warmup_steps: Expected `int`", "10 by default"),
        ({"z_loss": -1.0}, "recipe.toml: recipe: z_loss must not be negative", "0"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(table, message, hint):
    with pytest.raises(InputError) as caught:
        recipe_of(table, where="recipe.toml: ")
    assert message in str(caught.value)
    assert hint in caught.value.hint
