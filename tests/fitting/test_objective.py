from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.fitting import Criterion, Prior, Restraints
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.solver import minimise
from scalescope.laws import LAWS, get_law
from scalescope.points import Runs

CHINCHILLA = get_law("chinchilla")
LINE = get_law("loss-size")
N = np.geomspace(1e4, 1e6, 25)
CRITERIA = {
    "huber": Criterion(),
    "squared": Criterion(penalty="squared"),
    "wide": Criterion(delta=0.02, scale="raw"),
    "envelope": Criterion(below=0.9, delta=0.01),
    "squared raw envelope": Criterion(penalty="squared", scale="raw", below=0.2),
}


def noisy(sd: float = 0.01, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.9 + 35 * N**-0.4) * np.exp(sd * rng.standard_normal(len(N)))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_value_and_gradient_at_once_are_those_alone(law) -> None:
    x, theta = law.design(), law.examples
    value, gradient = law.value_and_gradient(theta[:, None, None], **x)
    np.testing.assert_allclose(value, law.value(theta[:, None, None], **x), rtol=1e-12)
    np.testing.assert_allclose(gradient, law.gradient(theta[:, None, None], **x), rtol=1e-12)
    alone, slope = law.value_and_gradient(theta, **x)
    np.testing.assert_allclose(alone, value[0], rtol=1e-12)
    np.testing.assert_allclose(slope, gradient[:, 0], rtol=1e-12)


def test_a_law_that_replaces_a_formula_does_not_keep_the_fused_one() -> None:
    class Doubled(type(CHINCHILLA)):
        name = "doubled"

        def value(self, theta, **x):
            return 2 * super().value(theta, **x)

    x = CHINCHILLA.design()
    value, _ = Doubled().value_and_gradient(CHINCHILLA.examples[:, None, None], **x)
    np.testing.assert_allclose(value[0], 2 * CHINCHILLA.value(CHINCHILLA.examples, **x))


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA)
@pytest.mark.parametrize(
    "restraints",
    [
        Restraints(),
        Restraints(tied=(("alpha", "beta"),), priors={"alpha": Prior(mean=0.3, sd=0.2)}),
        Restraints(fixed={"E": 1.5}, priors={"A": Prior(mean=300.0, sd=1.0)}),
    ],
    ids=["free", "tied", "fixed"],
)
def test_the_downhill_direction_is_the_slope_of_the_value(criterion, restraints) -> None:
    x = CHINCHILLA.design()
    rng = np.random.default_rng(1)
    y_raw = CHINCHILLA.value(CHINCHILLA.examples, **x) * np.exp(0.05 * rng.standard_normal(len(x["N"])))
    n = len(y_raw)
    objective = Objective(
        law=CHINCHILLA,
        x=x,
        criterion=criterion,
        restraints=restraints,
        errors=rng.uniform(0.5, 2, n),
        weights=rng.uniform(0, 2, n),
        noise=0.7,
    )
    y, w = objective.transform(y_raw)[None], rng.integers(0, 3, (1, n)).astype(float)
    u = objective.coordinates.reduced(objective.fitted(1.1 * CHINCHILLA.examples))
    zone = criterion.delta if criterion.penalty == "huber" else np.inf
    local = objective.local(u[None], y, w, np.zeros((1, 1)), zone)
    phi = objective.coordinates.expanded(u)[None]
    assert local.value[0] == pytest.approx(objective.total(phi, y, w)[0], rel=1e-12)
    for i in range(len(u)):
        step = np.zeros(len(u))
        step[i] = 1e-6 * max(abs(u[i]), 0.1)
        up, down = (
            objective.total(objective.coordinates.expanded(u + sign * step)[None], y, w)[0]
            for sign in (1, -1)
        )
        assert -(up - down) / (2 * step[i]) == pytest.approx(local.downhill[0, i], rel=1e-5, abs=1e-8)


def test_the_penalties_are_what_they_are_called() -> None:
    r, w = np.array([[0.5, -2.0, 0.0]]), np.array([[1.0, 2.0, 1.0]])

    def value(**options) -> float:
        return float(Objective(law=LINE, x={"N": N}, criterion=Criterion(**options)).value(r, w)[0])

    assert value(penalty="squared") == pytest.approx(0.125 + 2 * 2.0)
    assert value(penalty="absolute") == pytest.approx(0.5 + 4.0)
    assert value(delta=1.0) == pytest.approx(0.125 + 2 * 1.5)
    assert value(delta=1.0, below=0.75) == pytest.approx(0.5 * 0.125 + 1.5 * 2 * 1.5)


def test_a_lower_envelope_has_most_runs_above_it() -> None:
    target = noisy(0.05)
    shares = []
    for below in (0.5, 0.95):
        objective = Objective(law=LINE, x={"N": N}, criterion=Criterion(penalty="absolute", below=below))
        theta = find_optimum(objective, target).theta
        shares.append(float((target > LINE.value(theta, N=N) * (1 + 1e-6)).mean()))
    assert shares[0] == pytest.approx(0.5, abs=0.12)
    assert shares[1] > 0.8


def test_an_absolute_fit_is_at_the_optimum_of_a_linear_programme() -> None:
    from scipy.optimize import linprog

    # log y = log A - alpha log N, so with the floor fixed at zero the absolute fit is a linear programme.
    target, n = 35 * N**-0.4 * np.exp(0.05 * np.random.default_rng(2).standard_normal(len(N))), len(N)
    objective = Objective(
        law=LINE, x={"N": N}, criterion=Criterion(penalty="absolute"), restraints=Restraints(fixed={"E": 0.0})
    )
    found = find_optimum(objective, target)
    design = np.column_stack([np.ones(n), -np.log(N)])
    equal = np.hstack([design, np.eye(n), -np.eye(n)])
    cost = np.concatenate([np.zeros(2), np.ones(2 * n)])
    bounds = [(None, None)] * 2 + [(0, None)] * (2 * n)
    exact = linprog(cost, A_eq=equal, b_eq=np.log(target), bounds=bounds)
    assert found.objective == pytest.approx(exact.fun, rel=1e-5)
    assert found.objective >= exact.fun * (1 - 1e-9)


def test_standard_errors_divide_the_residuals_on_either_scale() -> None:
    target, stderr = noisy(), np.linspace(0.01, 0.1, len(N))
    columns = {"params": N, "tokens": N, "loss": target, "loss_stderr": stderr}
    phi = np.log([[1.0, 30.0, 0.38]])
    phi[0, 0] = 1.0
    for scale in ("log", "raw"):
        criterion = Criterion(penalty="squared", scale=scale, errors="loss_stderr")
        objective = Objective.of(LINE, Runs.from_columns(columns), criterion)
        y = objective.transform(target)
        predicted = LINE.value(np.array([1.0, 30.0, 0.38]), N=N)
        off = (target - predicted) / stderr
        if scale == "log":
            off = np.log(target / predicted) / (stderr / target)
        np.testing.assert_allclose(objective.residuals(phi, y)[0], off, rtol=1e-10)


def test_weights_of_the_table_multiply_those_of_a_resample() -> None:
    target, weights = noisy(), np.linspace(0, 2, len(N))
    columns = {"params": N, "tokens": N, "loss": target, "samples": np.maximum(weights, 1e-9)}
    objective = Objective.of(LINE, Runs.from_columns(columns), Criterion(weights="samples"))
    plain = Objective(law=LINE, x={"N": N})
    r, twice = np.random.default_rng(0).standard_normal((1, len(N))), np.full((1, len(N)), 2.0)
    assert objective.value(r, twice)[0] == pytest.approx(plain.value(r, 2 * weights[None])[0], rel=1e-6)


@pytest.mark.parametrize("column", ["weights", "errors"])
def test_bad_weights_and_errors_are_refused_with_the_row(column: str) -> None:
    values = np.ones(len(N))
    values[3] = -1.0
    columns = {"params": N, "tokens": N, "loss": noisy(), "elo": values}
    with pytest.raises(InputError, match="row 4, column elo") as raised:
        Objective.of(LINE, Runs.from_columns(columns), Criterion(**{column: "elo"}))
    assert raised.value.hint


def test_a_target_without_a_logarithm_is_refused_and_the_raw_scale_takes_it() -> None:
    target = noisy()
    target[4] = -0.1
    with pytest.raises(InputError, match=r"row 5: loss is -0\.1") as raised:
        Objective(law=LINE, x={"N": N}).transform(target)
    assert "raw" in raised.value.hint
    assert Objective(law=LINE, x={"N": N}, criterion=Criterion(scale="raw")).transform(target)[4] == -0.1


@pytest.mark.parametrize(("size", "loss"), [(1e300, 1.0), (1.0, 1e-300), (1e-300, 1.0), (1e250, 1e200)])
def test_numbers_far_out_of_range_give_a_finite_fit(size: float, loss: float) -> None:
    N_far = size * np.geomspace(1, 1e4, 12)
    D_far = np.tile([1e9, 3e10, 1e12], 4)
    objective = Objective(law=CHINCHILLA, x={"N": N_far, "D": D_far})
    target = loss * (1.5 + np.geomspace(1, 0.1, 12))
    found = find_optimum(objective, target)
    assert np.isfinite(found.theta).all()
    assert np.isfinite(found.objective)


def test_a_prediction_of_zero_is_not_an_optimum() -> None:
    objective = Objective(law=LINE, x={"N": N})
    phi = np.array([[0.0, -690.0, 0.5], [0.9, 3.5, np.log(0.4)]])
    y = objective.transform(noisy())
    value = objective.total(phi, y[None], np.ones((1, len(N))))
    assert np.isinf(value[0])
    assert np.isfinite(value[1])
    solution = minimise(objective, phi, y[None], np.ones((1, len(N))))
    assert np.isfinite(solution.objective[1])


@settings(max_examples=10, deadline=None)
@given(
    scale=st.floats(1e-250, 1e250),
    spread=st.floats(1.0, 1e3),
    seed=st.integers(0, 1000),
)
def test_any_positive_targets_give_a_finite_objective(scale: float, spread: float, seed: int) -> None:
    target = scale * spread ** np.random.default_rng(seed).uniform(-1, 1, len(N))
    objective = Objective(law=LINE, x={"N": N})
    starts = objective.fitted(LINE.starts(target, N=N))
    solution = minimise(
        objective, starts, objective.transform(target)[None], np.ones((1, len(N))), max_iterations=15
    )
    assert np.isfinite(solution.phi).all()
    assert np.isfinite(solution.objective).any()
