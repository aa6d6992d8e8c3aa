from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points.cells import compact, labels, number

texts = st.sampled_from(
    [
        "",
        "nan",
        "NA",
        "-",
        "70B",
        "1.4T",
        "3e21",
        "2.5k",
        "nanB",
        "inf",
        "1e999",
        "1_000",
        "abc",
        "-3",
        "true",
        "B",
    ]
) | st.floats(allow_nan=False, allow_infinity=False).map(repr)


@given(cells=st.lists(texts, min_size=1, max_size=5))
def test_a_block_of_numbers_is_what_its_cells_are(cells):
    block = compact(cells)
    if isinstance(block, np.ndarray):
        np.testing.assert_array_equal(block, [number(cell) for cell in cells])
    else:
        assert block == cells


@pytest.mark.parametrize("cells", [["1", "2.5"], ["70B", ""], [1, 2.5, None], ["1e9", "NA"]])
def test_numbers_become_floats_at_once(cells):
    assert isinstance(compact(cells), np.ndarray)


@pytest.mark.parametrize("cells", [["a"], [True], [[1]], ["inf"], [10**400], ["nanB"], [1, "2"]])
def test_what_is_no_plain_number_stays_as_it_was_written(cells):
    assert compact(cells) == cells


@pytest.mark.parametrize(("cell", "value"), [(True, 1.0), ("False", 0.0), ("1,234,567", 1234567.0), (3, 3.0)])
def test_odd_cells_are_read_one_by_one(cell, value):
    assert number(cell) == value


@pytest.mark.parametrize("cell", [None, "", " ", "N/A", "null", "-"])
def test_a_blank_cell_is_a_gap(cell):
    assert math.isnan(number(cell))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_comma_that_may_be_decimal_is_refused(separator):
    with pytest.raises(InputError, match=r"may be 2\.345 or 2345"):
        number("2,345", separator=separator)
    assert number("2,345") == 2345.0
    assert number("2,345,678", separator=separator) == 2345678.0


def test_labels_number_the_kinds_in_order():
    np.testing.assert_array_equal(labels(["b", "a", None, "b"]), [0, 1, np.nan, 0])
