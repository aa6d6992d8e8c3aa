from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.reports.figures import axes, theme


@given(low=st.floats(1e-3, 1e24), decades=st.floats(0.02, 12))
def test_log_ticks_lie_inside_and_are_few(low, decades):
    high = low * 10**decades
    ticks = axes.log_ticks((low, high))
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert ticks == sorted(ticks)
    assert 1 <= len(ticks) <= 9


@pytest.mark.parametrize(
    ("domain", "expected"),
    [((9e3, 1.1e6), [1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6]), ((1e10, 1e16), [10.0**k for k in range(10, 17)])],
)
def test_ticks_are_round_values(domain, expected):
    assert axes.log_ticks(domain) == pytest.approx(expected)


def test_tick_labels_are_written_by_units_and_never_say_giga():
    axis = axes.log_x("x", "Parameters N", (1e6, 1e9)).to_dict()["axis"]
    labels = json.loads(axis["labelExpr"].split("[indexof")[0])
    assert labels[-1] == "1B"
    assert labels[0] == "1M"
    assert not any("G" in label for label in labels)


def test_loss_ticks_share_their_number_of_decimals():
    axis = axes.loss_axis("Loss", [1.25, 1.3, 1.35], grid=True).to_dict()
    assert '["1.25", "1.30", "1.35"]' in axis["labelExpr"]


def test_what_n_counts_is_part_of_the_axis():
    assert axes.size_title("params_matmul") == "Parameters N (blocks + head)"
    assert axes.size_title("params") != axes.size_title("params_nonembedding")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_dearer_budgets_are_darker_on_paper(n):
    shades = [luminance(colour.light) for colour in theme.ordered(n)]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == n


@pytest.mark.parametrize(
    "colour", [*theme.ordered(8), theme.HELD_OUT, theme.PLAN, theme.KAPLAN, theme.HOFFMANN]
)
def test_every_drawn_colour_stands_out_from_its_background(colour):
    assert contrast(colour.light, theme.PAPER.light) >= 3
    assert contrast(colour.dark, theme.PAPER.dark) >= 3


def test_text_is_readable_under_both_schemes():
    for role in (theme.INK, theme.MUTED):
        assert contrast(role.light, theme.PAPER.light) >= 4.5
        assert contrast(role.dark, theme.PAPER.dark) >= 4.5
