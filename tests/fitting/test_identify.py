from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.extra import best_extra, candidates, far_corner
from scalescope.fitting.identify import Identification, identify
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.solver import minimise
from scalescope.fitting.tradeoffs import condition_of, projected
from scalescope.laws import get_law, optimal_size
from scalescope.points import Array

REPEATED = Path(__file__).parents[2] / "../shared/laws/data/muennighoff-datablations/runs_182.csv"
SQUARED = Criterion(penalty="squared")


@pytest.fixture(scope="module")
def grid(make_grid) -> tuple[Objective, Array, Array]:
    runs = make_grid("chinchilla", noise=0.005)
    objective = Objective(law=get_law("chinchilla"), x={"N": runs.size, "D": runs.tokens}, criterion=SQUARED)
    return objective, runs.loss, find_optimum(objective, runs.loss).theta


@pytest.fixture(scope="module")
def found(grid) -> Identification:
    return identify(*grid)


def test_a_good_grid_settles_every_coefficient_and_nothing_is_said(found: Identification) -> None:
    assert found.unidentified == ()
    assert not [finding for finding in found.findings if finding.code in ("FIT030", "FIT031")]
    assert all(np.isfinite(width.estimate.high) for width in found.widths.values())


def test_projecting_the_linear_coefficients_out_makes_the_fit_well_posed(found: Identification) -> None:
    assert found.condition > 30 * found.condition_projected
    assert 1 <= found.condition_projected < 10


def test_a_condition_number_does_not_depend_on_units() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 20))
    assert condition_of(rows * np.array([[1e-9], [1.0], [1e9]])) == pytest.approx(condition_of(rows))
    assert condition_of(np.stack([rows[0], 2 * rows[0]])) == np.inf


def test_projected_rows_are_free_of_the_linear_ones() -> None:
    rows = np.random.default_rng(1).standard_normal((3, 20))
    left = projected(rows, ["E", "A", "alpha"], ["E", "A"])
    assert left.shape == (1, 20)
    np.testing.assert_allclose(rows[:2] @ left[0], 0, atol=1e-12)


def test_size_and_its_exponent_trade_off(found: Identification) -> None:
    named = [set(one.changes) for one in found.trade_offs]
    assert any({"A", "alpha"} <= one for one in named)
    for one in found.trade_offs:
        if {"A", "alpha"} <= set(one.changes):
            assert one.changes["A"] * one.changes["alpha"] > 0


def test_moving_along_a_trade_off_costs_less_than_moving_one_coefficient(grid, found) -> None:
    objective, target, theta = grid
    phi, y = objective.fitted(theta[None])[0], objective.transform(target)[None]
    names = list(objective.law.coefficients)
    step = np.array([found.trade_offs[0].changes.get(name, 0.0) for name in names])
    alone = np.zeros(5)
    alone[names.index("A")] = step[names.index("A")]
    base, along, apart = (
        float(objective.total((phi + move)[None], y, np.ones((1, len(target))))[0])
        for move in (0 * step, step, alone)
    )
    assert along - base < 0.1 * (apart - base)


def test_coefficients_that_a_narrow_range_cannot_tell_apart_are_named() -> None:
    rng, law = np.random.default_rng(0), get_law("loss-size")
    size = np.geomspace(1e8, 1.5e8, 16)
    target = law.value(np.array([1.7, 400.0, 0.34]), N=size) * np.exp(1e-3 * rng.standard_normal(16))
    objective = Objective(law=law, x={"N": size}, criterion=SQUARED)
    one = identify(objective, target, find_optimum(objective, target).theta)
    assert "A" in one.unidentified
    assert one.widths["E"].estimate.low >= 0
    finding = next(finding for finding in one.findings if finding.code == "FIT030")
    assert " A " in finding.text
    assert any(finding.code == "FIT032" for finding in one.findings)


def test_the_suggested_run_narrows_the_prediction_as_said(grid, found) -> None:
    objective, _, theta = grid
    extra = found.extra
    assert extra is not None
    place = {name: np.array([value]) for name, value in extra.quantity.items()}

    def spread(more: dict[str, float] | None) -> float:
        x = {
            name: column if more is None else np.append(column, more[name])
            for name, column in objective.x.items()
        }
        longer = Objective(law=objective.law, x=x, criterion=SQUARED)
        clean = np.log(objective.law.value(theta, **x))
        y = clean + 0.002 * np.random.default_rng(3).standard_normal((400, len(clean)))
        ends = minimise(longer, np.tile(longer.fitted(theta[None]), (400, 1)), y, np.ones((1, len(clean))))
        return float(np.log(objective.law.value(longer.natural(ends.phi).T[:, :, None], **place)).std())

    assert 1 - spread(dict(extra.x)) / spread(None) == pytest.approx(extra.gain, abs=0.06)
    assert extra.gain_within <= extra.gain


def test_candidates_reach_ten_times_the_compute_and_no_further(grid) -> None:
    objective, _, theta = grid
    compute = objective.x["N"] * objective.x["D"]
    places = candidates(objective)
    ratio = (places["N"] * places["D"]).max() / compute.max()
    assert 5 < ratio <= 10 * (1 + 1e-9)
    corner = far_corner(objective, theta)
    assert corner["N"] == pytest.approx(optimal_size("chinchilla", theta, 60 * compute.max()))


def test_no_run_helps_a_prediction_that_nothing_is_open_about(grid) -> None:
    objective, _, theta = grid
    held = Objective(
        law=objective.law,
        x=objective.x,
        restraints=Restraints(fixed=dict(zip(objective.law.coefficients, theta.tolist(), strict=True))),
    )
    assert best_extra(held, theta, {"N": 1e6, "D": 1e8}) is None


def test_an_identification_has_the_five_ways_out(found: Identification) -> None:
    back = Identification.from_dict(found.to_dict())
    assert back == found
    assert "condition" in found.summary()
    assert [row["coefficient"] for row in found.frame()] == ["E", "A", "B", "alpha", "beta"]


@pytest.mark.shared
def test_it_says_unasked_that_the_repetition_constant_runs_from_15_to_160() -> None:
    if not REPEATED.exists():
        pytest.skip("the published runs with repeated data are not here")
    with REPEATED.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    N, D, U, loss = (
        np.array([float(row[key]) for row in rows]) for key in ("params", "tokens", "unique_tokens", "loss")
    )
    law = get_law("data-constrained")
    base = dict(law.published["muennighoff2023"].coefficients)
    fixed = {name: base[name] for name in ("E", "A", "B", "alpha", "beta")}
    objective = Objective(law=law, x={"N": N, "D": D, "U": U}, restraints=Restraints(fixed=fixed))
    found = identify(objective, loss, find_optimum(objective, loss).theta)
    assert "R_D" in found.unidentified
    assert not np.isfinite(found.widths["R_D"].estimate.high)
    at = np.array([one.coefficients["R_D"] for one in found.near_optima])
    assert at.min() == pytest.approx(15.37, rel=0.01)
    assert at.max() == pytest.approx(160.7, rel=0.01)
    text = next(finding.text for finding in found.findings if finding.code == "FIT031")
    assert "R_D runs from 15.4 to 161" in text
