"""Every example runs, on a table that it has not seen."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {"fit_a_table": [], "plan_under_two_laws": ["1e21"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Four budgets of five sizes, under a law with noise of a thousandth."""
    rng = np.random.default_rng(3)
    lines = ["params,compute,loss"]
    for compute in (1e18, 3e18, 1e19, 3e19):
        for size in np.sqrt(compute / 120) * np.array([0.3, 0.55, 1.0, 1.8, 3.3]):
            tokens = compute / 6 / size
            loss = 1.8 + 480 * size**-0.35 + 2000 * tokens**-0.37
            lines.append(f"{size},{compute},{loss * np.exp(rng.normal(0, 1e-3))}")
    path = tmp_path_factory.mktemp("examples") / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@cache
def run(name, *words):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_runs_on_a_table(name, table):
    done = run(name, table, *ARGUMENTS[name])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "loss" in done.stdout


def test_two_laws_of_one_truth_choose_about_the_same_size(table):
    lines = run("plan_under_two_laws", table, *ARGUMENTS["plan_under_two_laws"]).stdout.splitlines()
    sizes = [float(line.split()[1]) for line in lines[:2]]
    assert max(sizes) / min(sizes) < 1.5


@pytest.mark.parametrize("name", ARGUMENTS)
def test_without_arguments_it_says_how_it_is_called(name):
    done = run(name)
    assert done.returncode == 1
    assert f"python examples/{name}.py" in done.stderr


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_table_that_is_not_there_is_one_line_and_no_traceback(name, tmp_path):
    done = run(name, tmp_path / "none.csv", *ARGUMENTS[name])
    assert done.returncode == 1
    assert "none.csv" in done.stderr
    assert "Traceback" not in done.stderr
