"""Every layout gives the loss, the gradients and the step of one process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from parity_cases import CASES

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

EXACT = 1e-5
NEXT = 1e-6
"""Of the loss after a checkpoint was read."""
HALF = {"each": 2e-3, "loss": 2e-3, "norm": 2e-3, "gradients": 0.1}
"""Under bf16, whose numbers have eight bits; weights, gradients and sums stay in fp32."""
LIMIT_S = 420
WORKER = Path(__file__).with_name("parity_worker.py")


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Errors by number of processes and case; one launch each, ended if it hangs."""

    @cache
    def launched(processes):
        path = tmp_path_factory.mktemp("parity") / "results.json"
        made = subprocess.run(
            [sys.executable, str(WORKER), str(processes), str(path)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            timeout=LIMIT_S,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr[-4000:]
        return json.loads(path.read_text())

    return launched


def cases():
    for processes, found in CASES.items():
        group = pytest.mark.xdist_group(f"parity-{processes}")
        for case in found:
            yield pytest.param(processes, case, id=f"{processes} {case}", marks=group)


@pytest.mark.parametrize(("processes", "case"), list(cases()))
def test_a_layout_trains_as_one_process_does(results, processes, case):
    errors = results(processes)[str(case)]
    exact = ("each", "loss", "norm", "gradients", "step", "state", "restored")
    limits = HALF if case.precision == "bf16" else dict.fromkeys(exact, EXACT)
    assert {name: errors[name] for name, limit in limits.items() if not errors[name] < limit} == {}
    assert errors["moved"] > 100 * EXACT


@pytest.mark.parametrize(("processes", "case"), list(cases()))
def test_a_checkpoint_of_a_layout_is_read_by_others_and_by_one_process(results, processes, case):
    errors = results(processes)[str(case)]
    assert errors["kept"] == 0 and errors.get("resharded", 0) == 0
    if case.precision == "fp32":
        assert errors["next loss"] < NEXT and errors["next step"] < EXACT


@pytest.mark.parametrize(
    "processes", [pytest.param(n, marks=pytest.mark.xdist_group(f"parity-{n}")) for n in CASES]
)
def test_most_layouts_go_on_from_the_checkpoint_of_another(results, processes):
    found = [one for one in results(processes).values() if "resharded" in one]
    assert len(found) >= len(CASES[processes]) // 2


@pytest.mark.parametrize(
    "processes", [pytest.param(n, marks=pytest.mark.xdist_group(f"parity-{n}")) for n in CASES]
)
def test_a_number_that_is_none_is_found_where_it_stands_and_no_weight_moves(results, processes):
    found = results(processes)["poisoned"]
    assert math.isnan(float(found["loss"]))
    assert found["blamed"] == "weights of blocks.2"
    assert found["left"]
