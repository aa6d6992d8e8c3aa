from __future__ import annotations

import numpy as np
import pytest
from check_tables import D, L, N, findings, good

from scalescope.points import Runs


def appended(column, *values):
    return np.append(column, values)


def test_exact_copies_are_told_by_row():
    runs = good(params=appended(N, N[0]), tokens=appended(D, D[0]), compute=None, loss=appended(L, L[0]))
    assert "1 of 37 rows repeat another: row 37." in findings(runs)["RUN006"]


def test_rows_that_differ_in_a_column_of_text_are_no_copies():
    kinds = ["a"] * len(N) + ["b"] * len(N)
    double = {name: np.tile(column, 2) for name, column in (("params", N), ("tokens", D), ("loss", L))}
    runs = good(compute=None, **double)
    assert "RUN006" in findings(runs)
    assert "RUN006" not in findings(runs, {"corpus": kinds})


def test_one_run_read_twice_is_told():
    runs = good(
        params=appended(N, N[5] * 1.0004), tokens=appended(D, D[5]), compute=None, loss=appended(L, L[5])
    )
    assert "6 and 37" in findings(runs)["RUN019"]


def test_two_seeds_are_not_one_run():
    runs = good(
        params=appended(N, N[5]), tokens=appended(D, D[5]), compute=None, loss=appended(L, L[5] * 1.0004)
    )
    assert "RUN019" not in findings(runs)


@pytest.mark.parametrize("off", [1.15, 0.87])
def test_a_row_far_off_its_neighbours_is_named(off):
    loss = L.copy()
    loss[14] *= off
    told = findings(good(loss=loss, names=tuple(f"r{i}" for i in range(len(N)))))
    assert "row 15 (r14)" in told["RUN020"]


def test_groups_on_different_curves_are_named():
    kinds = ["web", "code"] * (len(N) // 2)
    loss = np.where(np.arange(len(N)) % 2, L / 2, L)
    assert "'corpus' (2 groups)" in findings(good(loss=loss), {"corpus": kinds})["RUN022"]
    assert "RUN022" not in findings(good(), {"corpus": kinds})


def test_a_table_without_an_outcome_has_no_copies():
    runs = Runs.from_columns({"params": [1e7, 1e7], "compute": [1e18, 1e18]})
    assert "RUN006" not in findings(runs)


def test_a_row_beyond_all_measure_is_told_by_a_factor():
    loss = L.copy()
    loss[14] = 1e300
    told = findings(good(loss=loss))["RUN020"]
    assert "row 15" in told
    assert "inf" not in told
    assert "factor of e^" in told
