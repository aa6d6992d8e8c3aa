from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.units import (
    Budget,
    format_bytes,
    format_count,
    format_factor,
    format_flop,
    format_percent,
    format_seconds,
    format_significant,
    parse_budget,
    parse_bytes,
    parse_count,
    parse_flop,
    parse_number,
    parse_seconds,
)

amounts = st.floats(min_value=1e-3, max_value=1e26)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("70B", 70e9),
        ("1.4T", 1.4e12),
        ("250k", 250e3),
        ("3e21", 3e21),
        ("3E21", 3e21),
        ("1_000_000", 1e6),
        ("1,000,000", 1e6),
        (" 7 B ", 7e9),
        (".5M", 5e5),
        ("5.M", 5e6),
        ("1.5e3k", 1.5e6),
        ("500P", 5e17),
    ],
)
def test_amounts_are_read_as_people_write_them(text, value):
    assert parse_count(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "B", "3X", "7 7", "1,5", "1,50,000", "3e", "٣", "nan", "inf", "3EB", "5b"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="is not a number") as caught:
        parse_count(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["0", "0.0", "-3", "-1e9", "1e999"])
def test_an_amount_must_be_positive_and_finite(text):
    with pytest.raises(InputError, match="above zero and finite"):
        parse_count(text)


def test_exa_is_never_meant_by_a_capital_e():
    with pytest.raises(InputError):
        parse_count("3E")
    assert parse_count("3E2") == 300


def test_any_number_keeps_its_sign():
    assert parse_number("-2.5k") == -2500
    assert parse_number("+0") == 0


@given(value=amounts)
def test_a_count_survives_writing_and_reading(value):
    assert parse_count(format_count(value)) == pytest.approx(value, rel=0.5e-2)


@given(value=amounts, digits=st.integers(1, 9))
def test_digits_bound_the_rounding_of_a_count(value, digits):
    assert parse_count(format_count(value, digits)) == pytest.approx(
        value, rel=0.5 * 10 ** (1 - digits) + 1e-12
    )


@given(value=amounts, digits=st.integers(1, 9))
def test_digits_bound_the_rounding_of_any_number(value, digits):
    assert parse_number(format_significant(value, digits)) == pytest.approx(
        value, rel=0.5 * 10 ** (1 - digits) + 1e-12
    )


@given(value=amounts)
def test_compute_survives_writing_and_reading(value):
    assert parse_flop(format_flop(value)) == pytest.approx(value, rel=0.5e-2)


@given(value=st.floats(1.0, 1e7))
def test_a_duration_survives_writing_and_reading(value):
    assert parse_seconds(format_seconds(value)) == pytest.approx(value, rel=0.05)


@given(value=st.one_of(st.floats(), st.floats(0, 1e30)))
def test_no_number_breaks_the_writing(value):
    for show in (
        format_count,
        format_flop,
        format_factor,
        format_percent,
        format_seconds,
        format_significant,
    ):
        assert show(value)


@given(value=st.floats(1e-3, 9e14), digits=st.integers(1, 4))
def test_counts_below_a_quadrillion_are_written_without_exponent(value, digits):
    assert "e" not in format_count(value, digits)


@pytest.mark.parametrize(
    ("value", "text"),
    [(70e9, "70B"), (1.4e12, "1.4T"), (25_300, "25.3k"), (999_999, "1M"), (999.6e12, "1.00e15"), (0, "0")],
)
def test_counts_are_written_short(value, text):
    assert format_count(value) == text


def test_two_digits_never_bring_an_exponent():
    assert format_count(123e6, 2) == "120M"
    assert format_factor(123) == "120x"


def test_compute_is_written_with_its_unit():
    assert format_flop(5.76e23) == "5.76e23 FLOP"
    assert format_flop(1e21) == "1e21 FLOP"
    assert format_flop(math.nan) == "nan FLOP"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "40.0 ms"),
        (42, "42 s"),
        (59.7, "1 min"),
        (570, "9 min 30 s"),
        (7500, "2 h 05 min"),
        (3599.7, "1 h 00 min"),
        (200_000, "2 d 8 h"),
    ],
)
def test_durations_are_written_in_two_units(value, text):
    assert format_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1536, "1.5 KiB"), (1000 * 2**20, "1,000 MiB"), (1.5 * 2**30, "1.5 GiB"), (2**41, "2 TiB")],
)
def test_memory_is_written_in_binary_units(value, text):
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800), ("1h30m", 5400), ("1,000 s", 1000)],
)
def test_durations_are_read_with_units(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "10x", "m", "0s", "-5m", "1h30", "1h x 30m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InputError, match="not a duration"):
        parse_seconds(text)


def test_a_budget_is_time_or_compute():
    assert parse_budget("10m") == Budget(seconds=600)
    assert parse_budget("3e15") == Budget(flop=3e15)
    assert parse_budget("3e15 FLOP") == Budget(flop=3e15)


@pytest.mark.parametrize("text", ["10", "10M", "600", "", "ten", "0m", "3e15 FLOP/s"])
def test_a_budget_whose_unit_was_forgotten_is_refused(text):
    with pytest.raises(InputError):
        parse_budget(text)


@pytest.mark.parametrize("text", ["3e12 FLOP/s", "3e12 FLOPS", "3e12 flops"])
def test_a_rate_is_not_taken_for_an_amount(text):
    with pytest.raises(InputError, match="may be a rate"):
        parse_flop(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10m", "It reads as a duration; FLOP are meant, such as 3e21"),
        ("much", "Write it as 3e21 or '3e21 FLOP'."),
        ("0", "Write it as 3e21 or '3e21 FLOP'."),
        ("3e12 FLOP/s", "Write it as 3e21 or '3e21 FLOP'."),
    ],
)
def test_the_hint_about_compute_is_about_compute(text, hint):
    with pytest.raises(InputError) as caught:
        parse_flop(text)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("7b", "Suffixes are capitals: 7B."),
        ("3E", "E is the exponent sign; exa is written 3e18."),
        ("2,6", "A comma separates thousands; write decimals with a point: 2.6."),
        ("big", "Write it as 70B, 1.4T, 250k or 3e21."),
        ("-3", "Write it as 70B, 1.4T, 250k or 3e21."),
    ],
)
def test_the_hint_about_a_count_says_what_went_wrong(text, hint):
    with pytest.raises(InputError) as caught:
        parse_count(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize("text", ["10M", "1h30", "ten"])
def test_the_hint_about_a_budget_names_both_kinds(text):
    with pytest.raises(InputError) as caught:
        parse_budget(text)
    assert caught.value.hint == "Write a duration such as 10m, or FLOP such as 3e15."


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4_000_000_000), ("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("100 kB", 100_000), ("1B", 1)],
)
def test_memory_is_read_in_decimal_and_binary_units(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "4", "4G", "GB", "0GB", "-1GB", "4 gb", "4GB 2MB"])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(InputError, match="not an amount of memory"):
        parse_bytes(text)


@pytest.mark.parametrize(("value", "text"), [(1.5e-4, "150 us"), (0.0125, "12.5 ms"), (0.5, "0.5 s")])
def test_short_times_have_short_units(value, text):
    assert format_seconds(value) == text
    assert parse_seconds(text) == pytest.approx(value)
