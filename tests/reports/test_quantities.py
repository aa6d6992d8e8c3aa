from __future__ import annotations

import re

import pytest

from scalescope.laws import LAWS, get_law
from scalescope.points import COLUMNS
from scalescope.reports.figures import quantities


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_has_a_title_with_its_unit_once(name):
    title = quantities.column_title(name)
    assert "_" not in title
    unit = COLUMNS[name].unit.lower()
    assert unit == "" or re.findall(r"[\w/-]+", title.lower()).count(unit) == 1


@pytest.mark.parametrize(
    ("law", "letter", "title"),
    [
        ("chinchilla", "N", "Parameters N (all)"),
        ("chinchilla", "D", "Tokens D"),
        ("isoflop", "C", "Compute C, FLOP"),
        ("data-constrained", "U", "Unique tokens U"),
        ("width-depth", "d", "Layers d"),
        ("precision", "P_weights", "Weights P_weights, bits"),
    ],
)
def test_an_axis_says_quantity_letter_and_unit(law, letter, title):
    assert quantities.variable_axis(get_law(law), letter).title == title


def test_what_n_counts_is_on_the_axis():
    axis = quantities.variable_axis(get_law("chinchilla"), "N", "params_nonembedding")
    assert axis.title == "Parameters N (blocks only)"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("tokens", 7e10, "70B"),
        ("compute", 3e21, "3e21"),
        ("year", 2024.0, "2024"),
        ("n_layers", 24.0, "24"),
        ("learning_rate", 5e-5, "5e-5"),
        ("mixture", 0.25, "0.25"),
    ],
)
def test_numbers_stand_as_their_column_asks(column, value, text):
    assert quantities.amount(column)(value) == text


def test_an_axis_is_not_logarithmic_where_a_value_is_zero_or_less():
    law = LAWS["chinchilla"]
    assert quantities.target_axis(law, [1.0, 2.0]).logarithmic
    assert not quantities.target_axis(law, [0.0, 2.0]).logarithmic
    assert not quantities.target_axis(law, [1.0, 2.0], logarithmic=False).logarithmic
