"""`scalescope recommend` as a person types it."""

from __future__ import annotations

import json

import pytest

from scalescope.points import Cell, Cells, Memory, Timing, Workload, write_cells


@pytest.fixture
def bench(tmp_path):
    """Two encoders, one of which ends at 512 tokens and one of which is slow."""
    cells = [
        Cell(
            model=name,
            architecture=name,
            params=10**8,
            workload=Workload(length=length),
            state="ok" if length <= limit else "not_applicable",
            cause="" if length <= limit else f"position table ends at {limit}",
            timing=Timing(samples=(seconds * length,) * 9) if length <= limit else None,
            memory=Memory(source="VmHWM", peak=10**9) if length <= limit else None,
        )
        for name, limit, seconds in (("short", 512, 1e-5), ("slow", 4096, 1e-3))
        for length in (128, 512, 1024)
    ]
    write_cells(Cells(cells=tuple(cells)), tmp_path / "cells.json")
    return tmp_path


def test_it_ranks_what_fits_and_says_why_the_others_do_not(command, bench):
    code, out, _ = command(
        "recommend", bench, "--length", "800", "--memory", "4GB", "--task", "encoder", "--json"
    )
    assert code == 0
    assert json.loads(out)["schema"].startswith("scalescope.")
    _, text, _ = command("recommend", bench, "--length", "800", "--memory", "4GB", "--task", "encoder")
    assert "slow" in text
    assert "512" in text


def test_without_a_length_it_says_what_to_deploy_for_short_and_long_texts(command, bench):
    code, out, _ = command("recommend", bench)
    assert code == 0
    assert "short" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--length", "0"], 2),
        (["--length", "-5"], 2),
        (["--length", "abc"], 2),
        (["--latency", "fast", "--length", "128"], 2),
        (["--memory", "0", "--length", "128"], 2),
        (["--task", "cooking", "--length", "128"], 2),
    ],
)
def test_a_bad_option_is_exit_code_2_with_one_line(command, bench, words, code):
    got, out, err = command("recommend", bench, *words)
    assert got == code, out
    assert err.startswith("error: ")


def test_a_folder_without_cells_says_which_file_is_missing(command, tmp_path):
    code, _, err = command("recommend", tmp_path, "--length", "128")
    assert code == 2
    assert "cells.json" in err
