from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import COLUMNS
from scalescope.points.conversions import SHARES, TextRates, find_unit, from_base, has_unit, to_base

RATES = TextRates(bytes_per_token=4.0, characters_per_token=3.5)
PAIRS = [
    ("loss", "bits"),
    ("loss", "bits/byte"),
    ("loss", "nats/byte"),
    ("loss", "bits/character"),
    ("loss", "perplexity"),
    ("loss", "log"),
    ("bits_per_byte", "nats/byte"),
    ("bits_per_byte", "nats"),
    ("compute", "PF-days"),
    ("compute", "1e21"),
    ("params", "M"),
    ("tokens", "characters"),
    ("tokens", "bytes"),
    ("accuracy", "%"),
    ("seconds", "h"),
    ("kl", "bits"),
]


@pytest.mark.parametrize(
    ("column", "value", "unit", "base"),
    [
        ("compute", 1.0, "PF-days", 8.64e19),
        ("compute", 5.0, "EFLOP", 5e18),
        ("loss", 1 / np.log(2), "bits", 1.0),
        ("loss", 1 / np.log(2), "bits/byte", 4.0),
        ("loss", np.e**2, "perplexity", 2.0),
        ("loss", 0.0, "log", 1.0),
        ("bits_per_byte", np.log(2) * 4.0, "nats", 1.0),
        ("params", 7.0, "B", 7e9),
        ("tokens", 350.0, "characters", 100.0),
        ("error", 25.0, "%", 0.25),
        ("seconds", 2.0, "h", 7200.0),
    ],
)
def test_a_unit_is_what_it_says(column, value, unit, base):
    np.testing.assert_allclose(to_base(column, np.array([value]), unit, RATES), [base], rtol=1e-14)


@pytest.mark.parametrize(("column", "unit"), PAIRS, ids=str)
@given(value=st.floats(1e-2, 50.0))
def test_there_and_back_is_where_it_was(column, unit, value):
    there = from_base(column, np.array([value]), unit, RATES)
    np.testing.assert_allclose(to_base(column, there, unit, RATES), [value], rtol=1e-12)


@pytest.mark.parametrize(("column", "unit"), PAIRS, ids=str)
def test_the_slope_is_the_derivative(column, unit):
    one, at, step = find_unit(column, unit, RATES), np.array([1.7]), 1e-6
    numeric = (one.forward(at + step) - one.forward(at - step)) / (2 * step)
    np.testing.assert_allclose(one.slope(at), numeric, rtol=1e-6)


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [
        ("Bits per byte", "bits/byte"),
        ("bpb", "bits/byte"),
        ("bits_per_token", "bits"),
        ("NATS/token", "nats"),
        ("PPL", "perplexity"),
    ],
)
def test_a_unit_has_several_spellings(spelling, unit):
    at = np.array([2.5])
    np.testing.assert_array_equal(to_base("loss", at, spelling, RATES), to_base("loss", at, unit, RATES))


@pytest.mark.parametrize("spelling", ["PF-days", "pf-day", "petaflop/s-days", "PFdays"])
def test_petaflop_days_have_several_spellings(spelling):
    assert to_base("compute", np.array([1.0]), spelling)[0] == 8.64e19


def test_a_unit_of_another_column_is_refused_with_those_of_this_one():
    with pytest.raises(InputError, match="loss is not given in 'PF-days'") as caught:
        to_base("loss", np.array([1.0]), "PF-days")
    assert "bits" in caught.value.hint
    assert not has_unit("loss", "B")


@pytest.mark.parametrize(("unit", "rate"), [("bits/byte", "bytes_per_token"), ("nats/char", "characters")])
def test_a_missing_rate_is_named(unit, rate):
    with pytest.raises(InputError, match=rate):
        to_base("loss", np.array([1.0]), unit)


@pytest.mark.parametrize("rate", [0.0, -4.0, float("inf"), float("nan")])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(InputError, match="bytes_per_token"):
        TextRates(bytes_per_token=rate)


def test_the_shares_are_columns():
    assert set(SHARES) <= set(COLUMNS)
