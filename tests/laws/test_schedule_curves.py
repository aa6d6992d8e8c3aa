"""Laws of whole training curves: their limits, a known failure, and real curves."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law
from scalescope.laws import multi_power as multi_power_module
from scalescope.points import Array

FOLDER = Path(__file__).parents[2] / "../shared/laws/data/supercollapse"
CURVES = FOLDER / "c5m_schedules_curves.csv.gz"
with_tables = [
    pytest.mark.shared,
    pytest.mark.skipif(not CURVES.exists(), reason="the published table is not beside this checkout"),
]
LAWS = ("annealing", "multi-power")


def cosine(padding: int) -> dict[str, Array]:
    """A cosine to zero over 5,000 steps, and as many steps more at a rate of zero as asked for."""
    step = np.arange(50.0, 5001.0 + padding, 50.0)
    rate = np.where(step < 5000, 1e-3 * (0.5 + 0.5 * np.cos(np.pi * step / 5000)), 0.0)
    return {"curve": np.zeros(len(step)), "step": step, "rate": rate}


@pytest.mark.parametrize("name", LAWS)
def test_a_constant_rate_leaves_a_power_law_in_steps(name: str) -> None:
    law, step = get_law(name), np.geomspace(100, 1e5, 20)
    loss = law.value(law.examples, curve=np.zeros(20), step=step, rate=np.full(20, 1e-3))
    place = dict(zip(law.coefficients, law.examples, strict=True))
    wanted = place["L_0"] + place["A"] * (1e-3 * step) ** -place["alpha"]
    np.testing.assert_allclose(loss, wanted, rtol=1e-12)


def test_steps_at_a_rate_of_zero_still_lower_the_law_of_annealing() -> None:
    law = get_law("annealing")
    after, padded = (law.value(law.examples, **cosine(padding))[-1] for padding in (0, 5000))
    gain = law.examples[law.place("C")[0]]
    assert padded < after - 0.01 * gain


def test_steps_at_a_rate_of_zero_change_nothing_in_the_multi_power_law() -> None:
    law = get_law("multi-power")
    after, padded = (law.value(law.examples, **cosine(padding))[-1] for padding in (0, 5000))
    assert padded == pytest.approx(after, rel=1e-12)


def test_the_multi_power_law_is_its_double_sum() -> None:
    law = get_law("multi-power")
    L_0, A, alpha, B, beta, C, gamma = law.examples
    step = np.arange(1.0, 401.0)
    rate = 2e-3 * (0.55 + 0.45 * np.cos(np.pi * step / 400))
    got = law.value(law.examples, curve=np.zeros(400), step=step, rate=rate)[-1]
    paid = sum(
        (rate[k - 1] - rate[k]) * (1 - (C * rate[k] ** -gamma * rate[k:].sum() + 1) ** -beta)
        for k in range(1, 400)
    )
    # The law places a fall in the middle between two steps, the paper at the later one.
    assert got == pytest.approx(L_0 + A * rate.sum() ** -alpha - B * paid, rel=1e-3)


def test_working_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    law = get_law("multi-power")
    whole = law.gradient(law.examples, **law.design())
    monkeypatch.setattr(multi_power_module, "_PAIRS", 40)
    np.testing.assert_allclose(law.gradient(law.examples, **law.design()), whole, rtol=1e-12)


def schedules(*names: tuple[str, float]) -> tuple[dict[str, Array], Array, Array]:
    """About 50 points after the warm-up of curves of one network under named schedules."""
    with (FOLDER / "c5m_schedules_runs.csv").open(newline="") as lines:
        runs = [row for row in csv.DictReader(lines) if (row["D"], row["T"]) == ("1024", "10000000000")]
    number = {(row["schedule"], float(row["decay_frac"])): row[""] for row in runs}
    with gzip.open(CURVES, "rt", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if float(row["step"]) >= 800]
    parts = []
    for index, name in enumerate(names):
        own = [row for row in rows if row["run"] == number[name]][::8]
        columns = ("step", "lr", "test_loss", "compute")
        parts.append([(float(index), *(float(row[column]) for column in columns)) for row in own])
    curve, step, rate, loss, compute = np.concatenate(parts).T
    return {"curve": curve, "step": step, "rate": rate}, loss, compute


TRAINED_ON = (("const", 1.0), ("cosine", 1.0), ("linear", 0.2))
HELD_OUT = (("linear", 1.0), ("multicosine", 1.0), ("quadratic", 0.2), ("quadratic", 1.0))


def last_points(curve: Array) -> Array:
    return np.flatnonzero(np.diff(curve, append=-1.0))


@pytest.fixture(scope="module")
def plain_error() -> Array:
    """Relative error of a power law in compute at the end of the schedules that it has not seen."""
    _, loss, compute = schedules(*TRAINED_ON)
    law = get_law("loss-compute")
    theta = find_optimum(Objective(law=law, x={"C": compute * 1e12}), loss).theta
    x, loss, compute = schedules(*HELD_OUT)
    return np.abs(law.value(theta, C=compute * 1e12) / loss - 1)[last_points(x["curve"])]


@pytest.mark.slow
class TestRealCurves:
    """CIFAR-5M curves of Qiu et al. (2025): fitted under three schedules, predicted under four others."""

    pytestmark = with_tables

    @pytest.mark.parametrize("name", LAWS)
    def test_final_losses_under_new_schedules_are_five_times_closer_than_by_a_power_law(
        self, name: str, plain_error: Array
    ) -> None:
        x, loss, _ = schedules(*TRAINED_ON)
        law = get_law(name)
        optimum = find_optimum(Objective(law=law, x=x), loss)
        held_out, loss, _ = schedules(*HELD_OUT)
        error = np.abs(law.value(optimum.theta, **held_out) / loss - 1)[last_points(held_out["curve"])]
        assert (error < plain_error / 2).all()
        assert error.mean() < plain_error.mean() / 5
