from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import FitError, InputError
from scalescope.fitting import Fit, fit
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws.chinchilla import Chinchilla
from scalescope.points import Runs


def codes(found: Fit) -> set[str]:
    return {finding.code for finding in found.findings}


def test_fit_recovers_the_surface_and_brackets_it(make_grid) -> None:
    found = fit(make_grid("chinchilla", noise=0.005, n_budgets=5, seeds=2), resamples=60)
    for name, true in zip(found.coefficients, (0.8, 34.0, 61.5, 0.40, 0.35), strict=True):
        estimate = found.coefficients[name]
        assert estimate.low <= estimate.value <= estimate.high
        # Wider than the 90% interval on purpose: one draw, five coefficients.
        assert abs(estimate.value - true) < 2 * (estimate.high - estimate.low)
    assert found.r_squared > 0.99
    assert found.residual_sd == pytest.approx(0.005, rel=0.4)
    assert found.noise_sd == pytest.approx(0.005, rel=0.4)


def test_the_same_seed_gives_the_same_result_and_another_seed_another(make_grid) -> None:
    runs = make_grid("chinchilla", noise=0.01)
    one, same, other = (fit(runs, resamples=10, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.resamples, same.resamples)
    assert (one.resamples != other.resamples).any()
    assert one.objective == other.objective


def test_held_out_runs_change_nothing(make_grid) -> None:
    runs = make_grid("chinchilla", noise=0.01)
    absurd = {name: np.append(column, column[-1]) for name, column in runs.columns.items()}
    absurd["loss"][-1] = 50.0
    absurd["held_out"] = np.append(np.zeros(len(runs)), 1.0)
    with_held_out = fit(Runs.from_columns(absurd), resamples=0)
    assert with_held_out.n_runs == len(runs)
    np.testing.assert_array_equal(with_held_out.theta, fit(runs, resamples=0).theta)


def test_no_resamples_give_intervals_that_are_not_numbers(make_grid) -> None:
    found = fit(make_grid("chinchilla", noise=0.01), resamples=0)
    assert np.isnan(found.coefficients["E"].low)
    assert len(found.resamples) == 0


def test_the_residuals_are_those_of_the_optimum(make_grid) -> None:
    runs = make_grid("chinchilla", noise=0.01)
    found = fit(runs, resamples=0)
    expected = np.log(runs.loss) - np.log(found.value(N=runs.size, D=runs.tokens))
    np.testing.assert_allclose(found.residuals, expected, atol=1e-14)
    inside = np.minimum(np.abs(expected), 1e-3)
    assert found.objective == pytest.approx(float((inside * (np.abs(expected) - inside / 2)).sum()))


def test_one_wild_run_hardly_moves_a_huber_fit(make_grid) -> None:
    runs = make_grid("chinchilla", noise=0.003, n_budgets=5)
    wild = runs.loss.copy()
    wild[3] *= 1.5
    clean, dirty = (
        fit(Runs.from_columns({**runs.columns, "loss": loss}), resamples=0) for loss in (runs.loss, wild)
    )
    there = {"N": np.array([1e5]), "D": np.array([3e6])}
    np.testing.assert_allclose(dirty.value(**there), clean.value(**there), rtol=0.01)


class TestBadInput:
    def test_too_few_runs_are_refused_with_the_number_needed(self, make_grid) -> None:
        runs = make_grid("chinchilla")
        with pytest.raises(InputError, match="5 coefficients and needs at least 7 runs, got 6") as raised:
            fit(runs.select(np.arange(len(runs)) < 6))
        assert raised.value.hint

    @pytest.mark.parametrize(("column", "word"), [("params", "size"), ("tokens", "token count")])
    def test_runs_at_one_value_are_refused(self, make_grid, column: str, word: str) -> None:
        columns = dict(make_grid("chinchilla").columns)
        columns[column] = np.full(len(columns["loss"]), 1e6)
        del columns["compute"]
        with pytest.raises(InputError, match=f"at one {word}"):
            fit(Runs.from_columns(columns))

    @pytest.mark.parametrize("wrong", [{"level": 1.5}, {"resamples": -1}])
    def test_options_out_of_range_are_named(self, make_grid, wrong: dict[str, float]) -> None:
        with pytest.raises(InputError, match=next(iter(wrong))):
            fit(make_grid("chinchilla"), **wrong)

    def test_an_unknown_law_suggests_the_nearest(self, make_grid) -> None:
        with pytest.raises(InputError) as raised:
            fit(make_grid(), "chinchila")
        assert "chinchilla" in raised.value.hint

    def test_a_law_that_is_finite_nowhere_raises_and_names_itself(self, make_grid) -> None:
        class Nowhere(Chinchilla):
            name = "nowhere"

            def value(self, theta, **x):
                return np.full_like(super().value(theta, **x), np.nan)

        runs = make_grid("chinchilla")
        objective = Objective(law=Nowhere(), x={"N": runs.size, "D": runs.tokens})
        with pytest.raises(FitError, match="nowhere: no start"):
            find_optimum(objective, runs.loss)


class TestFindings:
    def test_a_narrow_range_is_said(self, make_grid) -> None:
        assert "FIT001" in codes(fit(make_grid("chinchilla", n_budgets=2, spread=1.5), resamples=0))
        assert "FIT001" not in codes(fit(make_grid("chinchilla", n_budgets=5), resamples=0))

    def test_a_coefficient_at_its_limit_is_said(self, make_grid) -> None:
        # A pure power law in compute, then losses that fall ever faster: the floor would be negative.
        runs = make_grid("chinchilla")
        loss = np.exp(-0.05 * np.log(runs.compute / 5e10) ** 2 + 1)
        found = fit(Runs.from_columns({**runs.columns, "loss": loss}), "loss-compute", resamples=0)
        assert found.certificate is not None
        assert "E" in found.certificate.at_bound
        assert "FIT002" in codes(found)

    def test_an_open_floor_is_said(self, make_grid) -> None:
        noisy, clean = (
            fit(make_grid("chinchilla", noise=noise, n_budgets=3, spread=2), resamples=40)
            for noise in (0.03, 0.0001)
        )
        assert "FIT003" in codes(noisy)
        assert "FIT003" not in codes(clean)

    def test_a_law_that_explains_little_is_said(self, make_grid) -> None:
        runs = make_grid("chinchilla")
        random = np.random.default_rng(0).uniform(1, 3, len(runs))
        assert "FIT005" in codes(fit(Runs.from_columns({**runs.columns, "loss": random}), resamples=0))

    def test_few_independent_training_runs_are_said(self, make_grid) -> None:
        columns = dict(make_grid("chinchilla", n_sizes=3).columns)
        columns["params"] = np.tile([1e4, 3e4, 9e4], 4)
        del columns["tokens"]
        assert "FIT010" in codes(fit(Runs.from_columns(columns), resamples=5))


class TestOneFactor:
    def test_the_law_of_size_uses_the_best_run_of_each_size(self, make_grid) -> None:
        size = np.repeat([1e4, 2e4, 4e4, 8e4, 16e4, 32e4], 3)
        tokens = np.tile([1e6, 1e7, 1e12], 6)
        loss = 0.9 + 35 * size**-0.4 + 100 / tokens**0.4
        found = fit(
            Runs.from_columns({"params": size, "tokens": tokens, "loss": loss}), "loss-size", resamples=0
        )
        assert found.n_runs == 6
        assert "FIT006" in codes(found)
        np.testing.assert_allclose(found.theta, [0.9, 35, 0.4], rtol=0.01)

    def test_too_few_on_the_envelope_are_refused(self, make_grid) -> None:
        with pytest.raises(InputError, match="only 3 of 21 runs are on the lower envelope"):
            fit(make_grid("chinchilla", n_budgets=3), "loss-compute")


class TestResult:
    def test_predict_gives_an_interval_at_every_point(self, make_grid) -> None:
        found = fit(make_grid("chinchilla", noise=0.01), resamples=40)
        near, far = found.predict(N=np.array([5e4, 5e5]), D=np.array([2e6, 2e7]))
        assert near.low < near.value < near.high
        assert far.high - far.low > near.high - near.low
        assert found.predict(N=5e4, D=2e6)[0] == near
        narrow = found.predict(level=0.5, N=5e4, D=2e6)[0]
        assert narrow.high - narrow.low < near.high - near.low

    def test_the_summary_names_everything(self, make_grid) -> None:
        found = fit(make_grid("chinchilla", noise=0.01, n_budgets=2, seeds=2), resamples=20)
        text = found.summary()
        for word in ("alpha", "[", "R²", "seed noise", "starts", "objective", *codes(found)):
            assert word in text

    def test_the_frame_has_a_row_a_coefficient(self, make_grid) -> None:
        found = fit(make_grid("chinchilla", noise=0.01), resamples=20)
        rows = found.frame()
        assert [row["coefficient"] for row in rows] == list(found.coefficients)
        assert rows[3]["value"] == found.coefficients["alpha"].value

    def test_the_provenance_changes_with_the_data(self, make_grid) -> None:
        one, other = (fit(make_grid("chinchilla", noise=noise), resamples=0) for noise in (0.01, 0.02))
        assert one.provenance.digest != other.provenance.digest
        assert one.provenance.options["law"] == "chinchilla"
