from __future__ import annotations

import numpy as np
import pytest

from scalescope.cli import main
from scalescope.points import Runs, write_runs

LAW = {"E": 1.8, "A": 480.0, "B": 2000.0, "alpha": 0.35, "beta": 0.37}


@pytest.fixture(scope="session")
def runs():
    """Twenty runs on a grid, with a thousandth of noise, so that a fit has something to estimate."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(2e8, 2e10, 4)))
    loss = LAW["E"] + LAW["A"] * N ** -LAW["alpha"] + LAW["B"] * D ** -LAW["beta"]
    noise = np.random.default_rng(0).normal(0, 1e-3, len(N))
    return Runs.from_columns({"params": N, "tokens": D, "loss": loss * np.exp(noise)})


@pytest.fixture
def table(runs, tmp_path):
    return str(write_runs(runs, tmp_path / "runs.csv"))


@pytest.fixture
def command(capsys):
    """Run a command in this process; returns its exit code and what it wrote."""

    def call(*words):
        code = main([str(word) for word in words])
        written = capsys.readouterr()
        return code, written.out, written.err

    return call
