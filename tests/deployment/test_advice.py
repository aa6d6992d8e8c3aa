"""The study's four strategies come out of the cells."""

from __future__ import annotations

import pytest
from made_cells import make_cell, make_series, stopped

from scalescope.deployment import Strategies, strategies
from scalescope.points import Cells


def test_each_situation_names_the_fastest_and_the_leanest_that_fit(made):
    found = strategies(made)
    assert [one.name for one in found.strategies] == ["short", "medium", "long", "constrained"]
    assert found.of("short").fastest["encoder"] == ("org/bert-a",)
    assert found.of("long").length == 2048
    assert dict(found.of("long").fastest) == {"decoder": ("org/rope-a",)}
    assert found.of("constrained").memory_bytes < 1e9
    assert "broken" not in found.summary()


def test_what_is_scarce_can_be_said(made):
    one = strategies(made, memory_bytes=1e8).of("constrained")
    assert (one.n_fit, one.text) == (0, "none of 5 models fits.")


def test_ties_within_noise_are_all_named():
    cells = [
        make_cell(name, 512, law=(t, 0, 0), noise=0.03) for name, t in [("a", 1.0), ("b", 1.005), ("c", 3.0)]
    ]
    assert set(strategies(Cells(cells=tuple(cells))).of("medium").fastest["encoder"]) == {"a", "b"}


def test_advice_counts_no_extrapolation():
    cells = [*make_series("a", lengths=(128, 512)), *make_series("b", lengths=(128, 512, 1024))]
    assert strategies(Cells(cells=tuple(cells))).of("long").n_fit == 1


def test_advice_follows_the_cells(made):
    slower = made.only(
        make_cell(c.model, c.workload.length, law=(9.0, 0, 0)) if c.model == "org/bert-a" and c.ok else c
        for c in made
    )
    assert strategies(slower).of("short").fastest["encoder"] == ("org/bert-b",)


def test_strategies_come_back_from_their_dictionary_and_print(made):
    found = strategies(made)
    assert Strategies.from_dict(found.to_dict()) == found
    assert found.summary().startswith("Short (128 tokens): 4 of 5 models fit.")
    assert {row["kind"] for row in found.frame()} == {"encoder", "decoder"}


@pytest.mark.parametrize("cell", [stopped("a", 128, "other"), make_cell("a", 128, doubts=("too fast",))])
def test_a_bench_where_nothing_counts_has_no_strategy_and_says_so(cell):
    found = strategies(Cells(cells=(cell,)))
    assert found.strategies == ()
    assert [one.code for one in found.findings] == ["BEN064"]
    assert "nothing to advise" in found.summary()
