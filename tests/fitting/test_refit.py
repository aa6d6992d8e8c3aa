from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalescope.fitting import Criterion, Prior, Restraints
from scalescope.fitting.newton import newton
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.refit import refit
from scalescope.fitting.solver import gradient_norm, minimise
from scalescope.fitting.straight import straighten
from scalescope.fitting.systems import FEW, solve_systems
from scalescope.laws import get_law

TABLE = Path(__file__).parents[2] / "../shared/laws/data/epoch-analyzing-chinchilla/svg_extracted_data.csv"
CHINCHILLA = get_law("chinchilla")


def setting(make_grid, **options):
    runs = make_grid("chinchilla", noise=0.01, n_budgets=6, seeds=2)
    objective = Objective(law=CHINCHILLA, x={"N": runs.size, "D": runs.tokens}, **options)
    found = find_optimum(objective, runs.loss)
    n = len(runs)
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=60).astype(float)
    return found.settled, found, objective.transform(runs.loss), weights


OPTIONS = {
    "huber": {"criterion": Criterion(delta=5e-3)},
    "squared": {"criterion": Criterion(penalty="squared", scale="raw")},
    "tied": {"criterion": Criterion(delta=5e-3), "restraints": Restraints(tied=(("alpha", "beta"),))},
    "prior": {
        "criterion": Criterion(delta=5e-3),
        "restraints": Restraints(priors={"alpha": Prior(mean=0.4, sd=0.05)}, fixed={"E": 0.8}),
    },
    "at bound": {"criterion": Criterion(delta=5e-3), "restraints": Restraints(bounds={"beta": (0.4, 0.6)})},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_refits_end_where_separate_fits_do(make_grid, options) -> None:
    objective, found, y, weights = setting(make_grid, **options)
    quick = refit(objective, found.warm, y[None], weights)
    slow = minimise(objective, np.tile(found.warm[0], (60, 1)), y[None], weights, tolerance=1e-14)
    assert (quick.objective <= slow.objective * (1 + 1e-6)).all()
    assert quick.evaluations < slow.evaluations


def test_targets_may_differ_instead_of_weights(make_grid) -> None:
    objective, found, y, _ = setting(make_grid, criterion=Criterion(delta=5e-3))
    noisy = y + 0.01 * np.random.default_rng(1).standard_normal((20, len(y)))
    one = np.ones((1, len(y)))
    quick = refit(objective, found.warm, noisy, one, target=y)
    slow = minimise(objective, np.tile(found.warm[0], (20, 1)), noisy, one, tolerance=1e-14)
    np.testing.assert_allclose(quick.objective, slow.objective, rtol=1e-6)


def test_straightened_the_law_is_far_nearer_to_a_line(make_grid) -> None:
    objective, found, y, _ = setting(make_grid)
    straight = straighten(objective, found.warm[0], y)
    second = straight.leftover + np.einsum("an,aij->ijn", straight.jacobian, straight.bend)
    assert np.sqrt((straight.leftover**2).mean()) < 0.1 * np.sqrt((second**2).mean())
    # To second order, what the straight law neglects is a small part of what the plain one bends.
    v = 1e-4 * np.random.default_rng(0).standard_normal((50, 5))
    model = straight.residuals_at(v, y)
    bent = objective.residuals_at(straight.bent(v), y) - model
    plain = objective.residuals_at(straight.origin + v, y) - model
    assert np.abs(bent).mean() < 0.1 * np.abs(plain).mean()
    np.testing.assert_allclose(straight.neglected(v), np.sqrt((bent**2).mean(axis=1)), rtol=0.2)


def test_the_straight_law_alone_and_one_step_are_near_where_runs_are_many(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    x = {"N": np.exp(rng.uniform(16, 23, n)), "D": np.exp(rng.uniform(20, 27, n))}
    theta = np.array([1.8, 480.0, 2000.0, 0.35, 0.36])
    loss = CHINCHILLA.value(theta, **x) * np.exp(0.003 * rng.standard_normal(n))
    objective = Objective(law=CHINCHILLA, x=x)
    found = find_optimum(objective, loss)
    assert found.certificate.n_runs_tried == 2000
    y = objective.transform(loss)
    weights = rng.poisson(1.0, (24, n)).astype(float)
    exact = refit(objective, found.warm, y[None], weights, exact=True)
    spread = exact.phi.std(axis=0)
    straight = refit(objective, found.warm, y[None], weights, exact=False)
    assert (np.abs(straight.phi - exact.phi) < 0.02 * spread).all()
    monkeypatch.setattr("scalescope.fitting.refit.HUGE", 1)
    step = refit(objective, found.warm, y[None], weights)
    error = np.sqrt(((step.phi - exact.phi) ** 2).mean(axis=0))
    assert step.evaluations == 0
    assert (error < 0.06 * spread).all()
    np.testing.assert_allclose(step.objective, exact.objective, rtol=1e-3)


def test_other_starts_are_used_where_they_lower_the_objective(make_grid) -> None:
    runs = make_grid("chinchilla", noise=0.03, n_budgets=3, spread=2)
    objective = Objective(law=CHINCHILLA, x={"N": runs.size, "D": runs.tokens})
    found = find_optimum(objective, runs.loss)
    n, y = len(runs), np.log(runs.loss)
    weights = np.random.default_rng(5).multinomial(n, np.full(n, 1 / n), size=10).astype(float)
    alone = refit(objective, found.warm, y[None], weights)
    helped = refit(objective, found.warm, y[None], weights, starts=found.starts[::2])
    assert (helped.objective <= alone.objective).all()
    assert (helped.objective < alone.objective * (1 - 1e-6)).any()


def test_newton_settles_what_a_search_without_second_derivatives_leaves(make_grid) -> None:
    # Five runs or fewer in the quadratic zone: the valley's bottom is curved by the law alone.
    runs = make_grid("chinchilla", noise=0.03, n_budgets=3, spread=2)
    objective = Objective(law=CHINCHILLA, x={"N": runs.size, "D": runs.tokens})
    y, n = np.log(runs.loss), len(runs)
    starts = objective.fitted(CHINCHILLA.starts(runs.loss, **objective.x))
    weights = np.random.default_rng(5).multinomial(n, np.full(n, 1 / n), size=30).astype(float)
    rough = minimise(objective, np.tile(starts[5], (30, 1)), y[None], weights, max_iterations=40)
    left = [gradient_norm(objective, phi, y, w)[1] for phi, w in zip(rough.phi, weights, strict=True)]
    worst = int(np.argmax(left))
    phi = newton(objective, rough.phi[worst], y, weights[worst])
    assert left[worst] > 1e-5
    assert gradient_norm(objective, phi, y, weights[worst])[1] < 0.1 * left[worst]
    assert objective.total(phi[None], y[None], weights[[worst]])[0] <= rough.objective[worst]


@pytest.mark.parametrize("batch", [3, FEW + 3])
def test_small_systems_are_solved_however_many(batch: int) -> None:
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((batch, 4, 6)) * np.array([1.0, 1e3, 1e-3, 1e6])[:, None]
    matrices = factors @ np.swapaxes(factors, 1, 2)
    right = rng.standard_normal((batch, 4)) * np.array([1.0, 1e3, 1e-3, 1e6])
    found = solve_systems(matrices, right)
    np.testing.assert_allclose((matrices @ found[:, :, None])[:, :, 0], right, rtol=1e-6)
    matrices[0] = 0.0
    matrices[1] = np.nan
    assert np.isfinite(solve_systems(matrices, right)).all()
    assert (solve_systems(matrices, right)[1] == 0).all()


@pytest.mark.shared
@pytest.mark.skipif(not TABLE.exists(), reason="the published table is not beside this checkout")
def test_no_resample_of_the_published_runs_has_a_lower_objective_by_a_general_optimiser() -> None:
    import csv

    from scipy.optimize import minimize

    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    N, C, loss = (
        np.array([float(row[name]) for row in rows]) for name in ("Model Size", "Training FLOP", "loss")
    )
    kept = loss < np.sort(loss)[-5]
    N, D, loss = N[kept], (C / 6 / N)[kept], loss[kept]
    objective = Objective(law=CHINCHILLA, x={"N": N, "D": D})
    found = find_optimum(objective, loss)
    y, n = np.log(loss), len(loss)
    weights = np.random.default_rng(42).multinomial(n, np.full(n, 1 / n), size=12).astype(float)
    ours = refit(objective, found.warm, y[None], weights)
    a, b, e, alpha, beta = 6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083

    def value_and_slope(v, w):
        terms = np.stack([v[0] - v[3] * np.log(N), v[1] - v[4] * np.log(D), np.full(n, v[2])])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        left = y - top - np.log(total)
        inner = np.clip(left, -1e-3, 1e-3)
        pull, shares = w * inner, shares / total
        slope = [shares[0], shares[1], shares[2], -shares[0] * np.log(N), -shares[1] * np.log(D)]
        return 1e3 * (pull * (left - inner / 2)).sum(), -1e3 * np.array(slope) @ pull

    for w, value in zip(weights, ours.objective, strict=True):
        end = np.array([a, b, e, alpha, beta])
        for _ in range(3):
            end = minimize(value_and_slope, end, args=(w,), jac=True, method="BFGS").x
        assert value <= value_and_slope(end, w)[0] / 1e3 * (1 + 1e-9)
