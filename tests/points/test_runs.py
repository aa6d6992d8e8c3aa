from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import Runs

sizes = st.floats(1e3, 1e13)
losses = st.floats(1e-3, 20)
rows = st.lists(st.tuples(sizes, sizes, losses), min_size=1, max_size=6)


def some_runs(**changes):
    columns = {"params": [1e6, 2e6], "tokens": [2e7, 4e7], "loss": [3.0, 2.5]} | changes
    return Runs.from_columns(columns)


@given(rows=rows)
def test_the_third_quantity_follows_from_the_other_two(rows):
    N, D, L = np.array(rows).T
    full = Runs.from_columns({"params": N, "tokens": D, "loss": L})
    np.testing.assert_allclose(full.compute, 6 * N * D)
    np.testing.assert_allclose(Runs.from_columns({"params": N, "compute": 6 * N * D, "loss": L}).tokens, D)
    np.testing.assert_allclose(Runs.from_columns({"tokens": D, "compute": 6 * N * D, "loss": L}).size, N)


@given(rows=rows)
def test_runs_survive_a_dictionary_to_the_last_bit(rows):
    N, D, L = np.array(rows).T
    runs = Runs.from_columns({"params": N, "tokens": D, "loss": L}, names=tuple(map(str, range(len(N)))))
    again = Runs.from_dict(runs.to_dict())
    assert again.to_dict() == runs.to_dict()
    np.testing.assert_array_equal(again.compute, runs.compute)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_a_number_that_cannot_be_names_row_and_column(column, bad):
    good = some_runs()[column][0]
    with pytest.raises(InputError, match=f"row 2, column ({column}|compute)"):
        some_runs(**{column: [good, bad]})


def test_a_gap_in_an_optional_column_is_allowed_and_left_out_of_rows():
    runs = some_runs(seconds=[1.0, float("nan")])
    assert [sorted(row) for row in runs.rows()][1] == ["compute", "loss", "params", "tokens"]


def test_a_misspelt_column_gets_a_suggestion():
    with pytest.raises(InputError, match="no column 'los'") as caught:
        some_runs()["los"]
    assert "loss" in caught.value.hint


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="different lengths"):
        Runs(columns={"params": np.ones(2), "tokens": np.ones(3), "compute": np.ones(2), "loss": np.ones(2)})


def test_held_out_runs_are_left_out_of_a_fit():
    runs = some_runs(held_out=[0, 1])
    assert len(runs.fitted()) == 1
    assert runs.held_out.tolist() == [False, True]


def test_selecting_keeps_names_with_their_rows():
    runs = Runs.from_columns({"params": [1e6, 2e6], "tokens": [1e7, 2e7], "loss": [3, 2]}, names=("a", "b"))
    assert runs.select(np.array([False, True])).names == ("b",)


def test_the_summary_tells_what_the_runs_span():
    text = some_runs().summary()
    assert "2 runs" in text
    assert "1M to 2M" in text


@pytest.mark.parametrize(("name", "column"), [("tokens", "tokens"), ("compute", "compute"), ("loss", "loss")])
def test_a_column_that_the_table_lacks_is_named_with_what_it_has(name, column):
    curve = Runs.from_columns({"x": [1.0, 2.0], "y": [3.0, 2.0]})
    with pytest.raises(InputError, match=f"no column '{column}'") as caught:
        getattr(curve, name)
    assert "They have x, y" in caught.value.hint


def test_a_size_that_the_table_lacks_is_named():
    with pytest.raises(InputError, match="no column 'params'"):
        _ = Runs.from_columns({"x": [1.0], "y": [3.0]}).size


def test_any_known_columns_make_a_table():
    runs = Runs.from_columns({"samples": [1, 10, 100], "accuracy": [0.1, 0.4, 0.8]})
    assert len(runs) == 3
    assert "accuracy" in runs.summary()
    assert Runs.from_dict(runs.to_dict()).to_dict() == runs.to_dict()


def test_a_column_that_nobody_knows_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match="'los' is not a column of runs") as caught:
        some_runs(los=[1.0, 2.0])
    assert "loss" in caught.value.hint


@pytest.mark.parametrize("columns", [{}, {"loss": [[1.0], [2.0]]}, {"loss": 1.0}])
def test_what_is_no_table_is_refused(columns):
    with pytest.raises(InputError) as caught:
        Runs.from_columns(columns)
    assert caught.value.hint


def test_names_must_be_as_many_as_the_rows():
    with pytest.raises(InputError, match="different lengths"):
        Runs.from_columns({"params": [1e6], "tokens": [1e7], "loss": [3]}, names=("a", "b"))


def test_n_is_the_first_count_that_is_there_and_never_derived_beside_one():
    runs = Runs.from_columns({"params_active": [1e6], "tokens": [2e7], "compute": [1e14], "loss": [3.0]})
    assert runs.count == "params_active"
    assert "params" not in runs
    with pytest.raises(InputError, match="does not count params") as caught:
        runs.counted_by("params")
    assert "params_active" in caught.value.hint


def test_gaps_are_allowed_where_no_loss_of_size_and_data_is_at_stake():
    runs = Runs.from_columns({"compute": [1e20, np.nan], "accuracy": [0.3, 0.5]})
    assert runs.spent == 1e20
    assert "unknown" not in runs.summary()
    with pytest.raises(InputError, match=r"row 2, column accuracy: -1\.0 must be zero or more"):
        Runs.from_columns({"compute": [1e20, 1e21], "accuracy": [0.3, -1.0]})


@pytest.mark.parametrize("bad", [float("inf"), float("-inf")])
def test_no_column_holds_an_infinity(bad):
    with pytest.raises(InputError, match="row 1, column reward"):
        Runs.from_columns({"reward": [bad], "compute": [1e20]})


def test_the_provenance_notes_what_was_derived():
    assert some_runs().provenance.options["derived"] == "compute"
    assert "derived" not in some_runs(compute=[1e14, 2e14]).provenance.options
