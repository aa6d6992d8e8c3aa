from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from scalescope.errors import InputError, WorkError
from scalescope.executors import LocalExecutor
from scalescope.fitting.clusters import (
    MANY,
    PLENTY,
    cluster_labels,
    n_kept,
    resample_weights,
    seed_noise,
    setting_labels,
)
from scalescope.fitting.criterion import Criterion
from scalescope.fitting.noise import column_space, estimate_noise, free_slopes, noise_of
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.remote import objective_from_plain, objective_to_plain, run_everywhere
from scalescope.fitting.resampling import default_kind, leave_out, resample, resample_fit
from scalescope.laws import get_law
from scalescope.points import Array, Runs


@dataclass(frozen=True)
class Fitted:
    """A fit to one noisy table, ready to be resampled."""

    runs: Runs
    objective: Objective
    optima: Array

    @property
    def residuals(self) -> Array:
        y = self.objective.transform(self.runs.loss)
        return self.objective.residuals(self.optima[:1], y[None])[0]


@pytest.fixture(scope="module")
def fitted(make_grid) -> Fitted:
    runs = make_grid("chinchilla", noise=0.01, n_sizes=6)
    law = get_law("chinchilla")
    objective = Objective(law=law, x={"N": runs.size, "D": runs.tokens}, criterion=Criterion(delta=1e-2))
    return Fitted(runs, objective, find_optimum(objective, runs.loss).warm)


def runs_with(names: tuple[str, ...] = (), **columns: list[float]) -> Runs:
    n = len(columns["params"])
    table = {"tokens": np.geomspace(1e6, 1e7, n), "loss": np.full(n, 2.0)} | columns
    return Runs.from_columns(table, names=names)


def test_a_cluster_is_a_size_and_seed() -> None:
    labels = cluster_labels(runs_with(params=[1e4, 1e4, 1e4, 2e4], seed=[0, 0, 1, 0]))
    assert labels[0] == labels[1]
    assert len(set(labels)) == 3


def test_without_seeds_the_name_before_the_sign_tells_the_training_run() -> None:
    names = ("d32-s0@1e6", "d32-s0@3e6", "d64-s0@1e6")
    labels = cluster_labels(runs_with(names, params=[1e4, 1e4, 2e4]))
    assert labels[0] == labels[1] != labels[2]


def test_runs_of_one_seed_on_other_texts_are_training_runs_of_their_own():
    names = ["fresh", "fresh", "again", "again"]
    labels = cluster_labels(runs_with(names, params=[1e4] * 4, seed=[0] * 4))
    assert labels.tolist() == [1, 1, 0, 0]
    shares = runs_with(params=[1e4] * 3, seed=[0, 0, 0], share_1=[0.5, 0.2, 0.5], share_2=[0.5, 0.8, 0.5])
    assert cluster_labels(shares).tolist() == [1, 0, 1]


def test_without_either_every_run_is_by_itself() -> None:
    assert len(set(cluster_labels(runs_with(params=[1e4, 1e4, 2e4])))) == 3


def test_clusters_are_drawn_whole_and_every_draw_can_be_fitted() -> None:
    labels = np.repeat(np.arange(4), 3)
    size, tokens = np.repeat([1e4, 2e4, 4e4, 8e4], 3), np.tile([1e6, 2e6, 4e6], 4)
    weights = resample_weights(
        labels, (size, tokens), settings=5, resamples=200, rng=np.random.default_rng(0)
    )
    assert weights.shape == (200, 12)
    assert (weights.sum(axis=1) == 12).all()
    by_cluster = weights.reshape(200, 4, 3)
    assert (by_cluster == by_cluster[:, :, :1]).all()
    assert (n_kept(weights, setting_labels(size)) >= 2).all()
    assert (n_kept(weights, setting_labels(size, tokens)) >= 5).all()


def test_seed_noise_is_pooled_over_repeated_settings() -> None:
    rng = np.random.default_rng(1)
    size = np.repeat(np.geomspace(1e4, 1e6, 200), 3)
    loss = 2 * np.exp(0.01 * rng.standard_normal(600))
    tokens = np.repeat(np.geomspace(1e6, 1e8, 200), 3)
    runs = Runs.from_columns(
        {"params": size, "tokens": tokens, "loss": loss, "seed": np.tile([0, 1, 2], 200)}
    )
    assert seed_noise(runs) == pytest.approx(0.01, rel=0.1)


def test_seed_noise_is_unknown_without_repeats() -> None:
    assert seed_noise(runs_with(params=[1e4, 2e4, 4e4])) is None
    same_seed = Runs.from_columns(
        {"params": [1e4, 1e4], "tokens": [1e6, 1e6], "loss": [2.0, 2.1], "seed": [0, 0]}
    )
    assert seed_noise(same_seed) is None


def test_draws_of_very_many_clusters_are_whole_and_vary() -> None:
    n = 3 * PLENTY
    size, tokens = np.tile([1e4, 2e4, 4e4], PLENTY), np.geomspace(1e6, 1e9, n)
    weights = resample_weights(
        np.arange(n), (size, tokens), settings=5, resamples=20, rng=np.random.default_rng(0)
    )
    assert weights.shape == (20, n)
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    assert weights.var() == pytest.approx(1.0, abs=0.05)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_a_draw_without_the_only_other_size_is_never_kept() -> None:
    n = PLENTY + 1
    size = np.where(np.arange(n) == 0, 2e4, 1e4)
    weights = resample_weights(
        np.arange(n),
        (size, np.geomspace(1e6, 1e9, n)),
        settings=5,
        resamples=50,
        rng=np.random.default_rng(0),
    )
    assert len(weights) == 50
    assert (weights[:, 0] > 0).all()


def test_settings_may_hold_zeros_and_negative_numbers() -> None:
    assert setting_labels(np.array([0.0, 0.5, 0.5, -1.0])).tolist() == [1, 2, 2, 0]


@pytest.mark.parametrize("kind", ["residual", "wild", "noise", "pairs", "cluster"])
def test_every_kind_scatters_about_the_optimum(fitted: Fitted, kind) -> None:
    found = resample(
        fitted.objective, fitted.runs.loss, fitted.optima, kind=kind, resamples=100, seed=3, noise_sd=0.01
    )
    assert found.theta.shape == (100, 5)
    theta = fitted.objective.natural(fitted.optima[:1])[0]
    low, high = np.quantile(found.theta, [0.02, 0.98], axis=0)
    assert ((low < theta) & (theta < high)).all()


def test_one_seed_gives_one_result_and_another_another(fitted: Fitted) -> None:
    first, again, other = (
        resample(fitted.objective, fitted.runs.loss, fitted.optima, resamples=20, seed=seed).theta
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.fixture(scope="module")
def workers():
    with LocalExecutor(2) as executor:
        yield executor


def test_two_workers_give_what_one_process_gives(fitted: Fitted, workers, monkeypatch) -> None:
    monkeypatch.setattr("scalescope.fitting.resampling.CHUNK", 15)
    options = {"kind": "pairs", "resamples": 40, "seed": 5, "keep_weights": True}
    here = resample(fitted.objective, fitted.runs.loss, fitted.optima, **options)
    there = resample(fitted.objective, fitted.runs.loss, fitted.optima, executor=workers, **options)
    np.testing.assert_array_equal(here.theta, there.theta)
    np.testing.assert_array_equal(here.weights, there.weights)


def test_a_task_that_fails_elsewhere_is_said_with_its_cause(workers) -> None:
    with pytest.raises(WorkError, match="KeyError"):
        run_everywhere(workers, "scalescope.fitting.resampling:run_chunk", [{"index": 0}, {"index": 1}])


def test_an_objective_comes_back_from_plain_values(fitted: Fitted) -> None:
    back = objective_from_plain(objective_to_plain(fitted.objective))
    assert back.criterion == fitted.objective.criterion
    assert back.restraints == fitted.objective.restraints
    phi, y = fitted.optima[:1], fitted.objective.transform(fitted.runs.loss)[None]
    np.testing.assert_array_equal(back.residuals(phi, y), fitted.objective.residuals(phi, y))


def test_residuals_are_drawn_below_many_clusters_a_coefficient_and_clusters_above() -> None:
    assert default_kind(np.arange(MANY * 5 - 1), 5) == "residual"
    assert default_kind(np.arange(MANY * 5), 5) == "cluster"
    assert default_kind(np.zeros(1000, dtype=np.intp), 5) == "residual"


def test_a_table_of_few_clusters_is_drawn_by_runs(fitted: Fitted) -> None:
    few = Runs.from_columns({**fitted.runs.columns, "seed": np.zeros(len(fitted.runs))})
    found = resample_fit(fitted.objective, few, fitted.optima, resamples=20, seed=0, kind="cluster")
    assert found.shape == (20, 5)


def test_unknown_kinds_and_unknown_noise_are_refused(fitted: Fitted) -> None:
    with pytest.raises(InputError, match="residuals"):
        resample(fitted.objective, fitted.runs.loss, fitted.optima, kind="residuals")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="standard deviation"):
        resample(fitted.objective, fitted.runs.loss, fitted.optima, kind="noise")


def test_known_standard_errors_are_the_noise(fitted: Fitted) -> None:
    known = Objective(
        law=fitted.objective.law,
        x=fitted.objective.x,
        criterion=Criterion(penalty="squared"),
        errors=np.full(len(fitted.runs), 0.01),
    )
    found = resample(known, fitted.runs.loss, fitted.optima, kind="noise", resamples=200)
    same = resample(known, fitted.runs.loss, fitted.optima, kind="noise", resamples=200, noise_sd=0.02)
    np.testing.assert_allclose(same.theta.std(axis=0) / found.theta.std(axis=0), 2.0, rtol=0.35)


def test_leaving_out_a_run_is_fitting_without_it(fitted: Fitted) -> None:
    found = leave_out(fitted.objective, fitted.runs.loss, fitted.optima)
    assert found.shape == (len(fitted.runs), 5)
    rest = np.arange(len(fitted.runs)) != 4
    x = {name: column[rest] for name, column in fitted.objective.x.items()}
    alone = Objective(law=fitted.objective.law, x=x, criterion=fitted.objective.criterion)
    np.testing.assert_allclose(found[4], find_optimum(alone, fitted.runs.loss[rest]).theta, rtol=1e-3)


def test_noise_that_a_fit_took_in_is_given_back() -> None:
    rng = np.random.default_rng(7)
    basis = np.linalg.qr(rng.standard_normal((20, 5)))[0]
    noise = 0.01 * rng.standard_normal((400, 20))
    found = [noise_of(row - basis @ (basis.T @ row), np.arange(20), basis).sd ** 2 for row in noise]
    assert np.mean(found) == pytest.approx(1e-4, rel=0.05)


def test_the_part_that_clusters_share_is_told_from_the_rest() -> None:
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(15), 3)
    basis = np.linalg.qr(rng.standard_normal((45, 5)))[0]
    noise = 0.008 * rng.standard_normal((400, 15))[:, labels] + 0.006 * rng.standard_normal((400, 45))
    found = [noise_of(row - basis @ (basis.T @ row), labels, basis) for row in noise]
    assert np.mean([one.common**2 for one in found]) == pytest.approx(0.008**2, rel=0.1)
    assert np.mean([one.own**2 for one in found]) == pytest.approx(0.006**2, rel=0.1)


def test_draws_have_the_variance_and_the_sharing_of_the_noise() -> None:
    labels = np.repeat(np.arange(20), 2)
    rng = np.random.default_rng(9)
    residuals = 0.01 * rng.standard_normal(20)[labels] + 0.005 * rng.standard_normal(40)
    noise = noise_of(residuals, labels, np.zeros((40, 1)))
    drawn = noise.draw(4000, rng)
    # The variance of a draw has its own spread, whose mean is above one.
    spread = noise.freedom / (noise.freedom - 2)
    assert drawn.var() == pytest.approx(noise.sd**2 * spread, rel=0.1)
    together = (drawn[:, ::2] * drawn[:, 1::2]).mean()
    assert together == pytest.approx(noise.common**2 * spread, rel=0.15)


def test_runs_that_the_fit_passes_through_do_not_shape_the_noise() -> None:
    residuals = np.concatenate([np.full(5, 1e-6), 0.01 * np.random.default_rng(1).standard_normal(15)])
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((20, 5)))[0]
    assert len(noise_of(residuals, np.arange(20), basis, edge=1e-3).shape) == 15
    assert len(noise_of(residuals, np.arange(20), basis).shape) == 20


def test_fixed_coefficients_take_no_noise_in(fitted: Fitted) -> None:
    from scalescope.fitting.criterion import Restraints

    free, _ = free_slopes(fitted.objective, fitted.optima[0])
    held = Objective(
        law=fitted.objective.law,
        x=fitted.objective.x,
        criterion=fitted.objective.criterion,
        restraints=Restraints(fixed={"alpha": float(np.exp(fitted.optima[0][3]))}, tied=(("A", "B"),)),
    )
    slopes, moves = free_slopes(held, fitted.optima[0])
    assert column_space(free).shape[1] == 5
    assert column_space(slopes).shape[1] == 3
    np.testing.assert_allclose(slopes[1], free[1] + free[2])
    assert moves.shape == (5, 3)


def test_the_noise_of_a_fit_is_near_what_made_it(fitted: Fitted) -> None:
    noise = estimate_noise(fitted.objective, fitted.optima[0], fitted.residuals, np.arange(len(fitted.runs)))
    assert noise.sd == pytest.approx(0.01, rel=0.4)
    assert noise.freedom == len(fitted.runs) - 5
