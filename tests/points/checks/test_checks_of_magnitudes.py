from __future__ import annotations

import numpy as np
import pytest
from check_tables import D, L, N, findings, good

from scalescope.points import Runs, convert


@pytest.mark.parametrize(
    ("changes", "mapping"),
    [
        ({"params": N / 1e6, "compute": None}, "params=M"),
        ({"params": N / 1e9, "compute": None}, "params=B"),
        ({"tokens": D / 1e9, "compute": None}, "tokens=B"),
        ({"tokens": D / 1e6, "compute": None}, "tokens=M"),
        ({"params": N / 1e6, "tokens": D / 1e9, "compute": None}, "params=M,tokens=B"),
        ({"params": N / 1e6}, "params=M"),
        ({"tokens": D / 1e12}, "tokens=T"),
        ({"params": N / 1e9, "tokens": D / 1e9}, "params=B,tokens=B"),
    ],
    ids=str,
)
def test_a_scaled_column_is_told_with_the_unit_that_explains_it(changes, mapping):
    told = findings(good(**changes))
    assert f"give units {mapping}." in told["RUN007"]
    units = dict(piece.split("=") for piece in mapping.split(","))
    assert "RUN007" not in findings(convert(good(**changes), units))


@pytest.mark.parametrize("unit", ["PF-days", "EFLOP", "ZFLOP", "PFLOP"])
def test_a_compute_in_another_unit_is_told_with_the_unit(unit):
    size = {"PF-days": 8.64e19, "EFLOP": 1e18, "ZFLOP": 1e21, "PFLOP": 1e15}[unit]
    told = findings(good(compute=6 * N * D / size))
    assert set(told) == {"RUN010"}
    assert f"compute={unit}, with which it is 6 N D" in told["RUN010"]


def test_a_compute_alone_may_be_petaflop_days():
    runs = Runs.from_columns({"compute": np.geomspace(0.01, 1e4, 9), "loss": np.linspace(4, 2, 9)})
    assert "PF-days" in findings(runs)["RUN010"]


@pytest.mark.parametrize(("column", "low"), [("accuracy", 20.0), ("error", 5.0), ("mixture", 1.0)])
def test_percent_is_told(column, low):
    told = findings(good(**{column: np.linspace(low, 80, len(N))}))
    assert f"give units {column}=%" in told["RUN011"]
    assert "RUN011" not in findings(good(**{column: np.linspace(low / 100, 0.8, len(N))}))


def test_an_error_that_is_no_share_is_left_alone():
    assert "RUN011" not in findings(good(error=np.linspace(0.3, 1.4, len(N))))


def test_shares_of_more_than_the_whole_are_told_by_row():
    half = np.full(len(N), 0.5)
    more = half.copy()
    more[3] = 0.7
    assert "row 4" in findings(good(share_1=half, share_2=more))["RUN012"]
    assert "RUN012" not in findings(good(share_1=half, share_2=half))


def test_small_but_plausible_models_are_left_alone():
    runs = Runs.from_columns({"params": N / 1e3, "tokens": D / 1e3, "loss": L + 1})
    assert "RUN007" not in findings(runs)
