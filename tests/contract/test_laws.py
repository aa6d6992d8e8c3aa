"""What every registered law must satisfy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.fitting import fit
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum, resample_fit, variables_of
from scalescope.fitting.result import Fit
from scalescope.laws import LAWS, Law
from scalescope.points import Array, Runs

ANY_LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
EXAMPLES = {
    "chinchilla": (0.8, 32.0, 60.0, 0.40, 0.35),
    "isoflop": (0.6, 72.0, 0.16, 0.042, 0.52, 0.07),
    "kaplan": (3e5, 7e6, 0.17, 0.2),
    "loss-compute": (0.6, 72.0, 0.16),
    "loss-data": (0.9, 110.0, 0.37),
    "loss-size": (0.9, 35.0, 0.4),
}


@dataclass(frozen=True)
class Grid:
    """Six sizes at five budgets around N* = 0.042 C^0.52."""

    budgets: Array
    size: Array
    compute: Array

    @classmethod
    def build(cls) -> Grid:
        budgets = 5e10 * 3.0 ** np.arange(5)
        best = 0.042 * budgets**0.52
        size = best[:, None] * 2.0 ** np.linspace(-2, 2, 6)
        return cls(budgets=budgets, size=size.ravel(), compute=np.repeat(budgets, 6))


def runs_of(law: Law, theta: Array) -> Runs:
    grid = Grid.build()
    x = {"N": grid.size, "D": grid.compute / 6 / grid.size, "C": grid.compute}
    loss = law.loss(theta, **{name: x[name] for name in law.variables})
    return Runs.from_columns({"params": x["N"], "tokens": x["D"], "loss": loss, "budget": grid.compute})


@ANY_LAW
class TestLaw:
    def theta(self, law: Law) -> Array:
        assert law.name in EXAMPLES, f"give {law.name} coefficients at the scale of a small study"
        return np.array(EXAMPLES[law.name])

    def test_the_gradient_equals_a_complex_step(self, law: Law) -> None:
        theta, runs = self.theta(law), runs_of(law, self.theta(law))
        x = variables_of(law, runs)
        gradient = law.gradient(theta, **x)
        for index in range(len(theta)):
            step = theta.astype(complex)
            step[index] += 1e-30j * abs(theta[index])
            # Complex numbers are outside the signature but inside every formula, and give exact derivatives.
            exact = _complex_loss(law, step, x).imag / (1e-30 * abs(theta[index]))
            np.testing.assert_allclose(gradient[index], exact, rtol=1e-9, atol=1e-14)

    def test_batches_of_coefficients_broadcast_against_runs(self, law: Law) -> None:
        theta = self.theta(law)
        x = variables_of(law, runs_of(law, theta))
        batch = np.stack([theta, 1.1 * theta])
        together = law.loss(batch.T[:, :, None], **x)
        assert together.shape == (2, 30)
        assert law.gradient(batch.T[:, :, None], **x).shape == (len(theta), 2, 30)
        for row, one in zip(together, batch, strict=True):
            np.testing.assert_allclose(row, law.loss(one, **x), rtol=1e-14)

    def test_the_coefficients_that_made_the_data_come_back(self, law: Law) -> None:
        theta, runs = self.theta(law), runs_of(law, self.theta(law))
        objective = Objective(law=law, x=variables_of(law, runs), delta=1e-3)
        optimum = find_optimum(objective, runs)
        np.testing.assert_allclose(optimum.theta, theta, rtol=1e-4)
        assert optimum.objective < 1e-12

    def test_resamples_of_noise_free_data_are_all_the_truth(self, law: Law) -> None:
        theta, runs = self.theta(law), runs_of(law, self.theta(law))
        objective = Objective(law=law, x=variables_of(law, runs), delta=1e-3)
        warm = objective.fitted(1.001 * theta[None])
        drawn = resample_fit(objective, runs, warm, resamples=5, seed=1)
        assert drawn.shape == (5, len(theta))
        for row in drawn:
            np.testing.assert_allclose(law.loss(row, **objective.x), runs.loss, rtol=1e-3)

    def test_a_fit_comes_back_from_its_dictionary(self, law: Law) -> None:
        runs = runs_of(LAWS["isoflop"], np.array(EXAMPLES["isoflop"]))
        noisy = np.random.default_rng(0).normal(0, 0.01, len(runs))
        noisy_runs = Runs.from_columns({**runs.columns, "loss": runs.loss * np.exp(noisy)})
        found = fit(noisy_runs, law.name, resamples=8)
        plain = found.to_dict()
        again = Fit.from_dict(plain)
        assert again.to_dict() == plain
        np.testing.assert_array_equal(again.resamples, found.resamples)

    def test_published_coefficients_are_complete_and_inside_the_bounds(self, law: Law) -> None:
        for published in law.published.values():
            assert tuple(published.coefficients) == law.coefficients
            for name, (low, high) in law.bounds.items():
                assert low <= published.coefficients[name] <= high
            assert published.source
            theta = np.array(list(published.coefficients.values()))
            at = {"N": np.array([1e9]), "D": np.array([2e10]), "C": np.array([1.2e20])}
            assert 1 < law.loss(theta, **{name: at[name] for name in law.variables})[0] < 5

    def test_starts_are_finite_and_inside_the_bounds(self, law: Law) -> None:
        runs = runs_of(law, self.theta(law))
        starts = law.starts(runs.loss, **variables_of(law, runs))
        assert starts.shape[1] == len(law.coefficients)
        assert np.isfinite(starts).all()
        for name, (low, high) in law.bounds.items():
            column = starts[:, law.coefficients.index(name)]
            assert ((low <= column) & (column <= high)).all()

    @settings(max_examples=30, deadline=None)
    @given(size=st.floats(3, 12), other=st.floats(6, 25), factor=st.floats(1.01, 100))
    def test_more_of_one_factor_never_hurts(self, law: Law, size: float, other: float, factor: float) -> None:
        # The isoflop law is not monotone in size at a fixed compute; in compute along its optimum it is.
        theta = self.theta(law)
        point = {"N": np.array([10**size]), "D": np.array([10**other]), "C": np.array([10**other])}
        if law.name == "isoflop":
            point["N"] = theta[3] * point["C"] ** theta[4]
        x = {name: point[name] for name in law.variables}
        for name in law.variables:
            more = {**x, name: factor * x[name]}
            if law.name == "isoflop":
                more = {"C": factor * x["C"], "N": x["N"] * factor ** theta[4]}
            assert law.loss(theta, **more)[0] <= law.loss(theta, **x)[0] * (1 + 1e-12)


def _complex_loss(law: Law, theta: np.ndarray, x: dict[str, Array]) -> np.ndarray:
    return np.asarray(law.loss(theta, **x))
