"""A bench on one screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_cells import MACHINE, make_cell, make_series, stopped

from scalescope.deployment import bench_text, doubts_of
from scalescope.deployment.overview import MARKS
from scalescope.points import STATES, Cells, Finding


def row(text: str, name: str) -> list[str]:
    return next(line for line in text.splitlines() if line.strip().startswith(name)).split()


def test_every_model_has_a_row_with_throughput_or_state(made):
    text = bench_text(made)
    assert row(text, "bert-a")[-2:] == ["n/a", "n/a"]
    assert row(text, "broken")[1:] == ["api", "error", "error", "error"]
    assert "At 2048 tokens: no wall." in text


def test_what_stands_in_the_matrix_is_explained_and_nothing_else(made):
    text = bench_text(made)
    assert "n/a: cannot run as its configuration says" in text
    assert "memory: " not in text


def test_many_models_become_categories(made):
    text = bench_text(made, rows=2)
    assert row(text, "bert family")[-4:] == ["2/2", "2/2", "0/2", "0/2"]
    assert "bert-a" not in text


def test_one_screen_is_enough_for_118_models():
    cells = [
        cell for i in range(118) for cell in make_series(f"m{i}", category=f"c{i % 7}", architecture=f"{i}")
    ]
    text = bench_text(Cells(cells=tuple(cells), machine=MACHINE))
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) <= 120


def test_doubtful_and_shared_figures_are_marked():
    cells = [make_cell("one", 128, doubts=("x",)), make_cell("two", 128, shared_from="one")]
    text = bench_text(Cells(cells=tuple(cells)))
    assert row(text, "one")[-1].endswith("?")
    assert row(text, "two")[-1].endswith("=")
    assert "?: ran, but looks impossible" in text


def test_findings_of_the_bench_and_of_its_meaning_are_told_once(made):
    found = doubts_of(replace(made, findings=(Finding(code="BEN001", text="said"),) * 2))
    assert [finding.code for finding in found].count("BEN001") == 1
    assert "BEN065" in {finding.code for finding in found}


def test_the_first_failed_cells_say_why():
    cells = [
        make_cell("one", 128),
        *(stopped(f"m{n}", 128, "api_error", cause=f"why {n}") for n in range(10)),
    ]
    text = bench_text(Cells(cells=tuple(cells)))
    assert "m0 " in text
    assert ": api: why 0" in text
    assert "and 2 more failed cells" in text


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_has_a_mark(state):
    assert MARKS[state]
    if state != "ok":
        assert MARKS[state] in bench_text(Cells(cells=(stopped("a", 128, state),)))


def test_no_cells_are_said_so():
    assert bench_text(Cells(cells=(), title="mine")) == "mine: no cells"
