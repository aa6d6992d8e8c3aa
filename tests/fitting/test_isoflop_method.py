from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting import budget_groups, exponent_by_count, fit
from scalescope.fitting.isoflop import fit_surfaces, residual_losses
from scalescope.fitting.valleys import Valley
from scalescope.points import Runs


def test_the_surface_that_made_the_runs_comes_back_exactly(make_grid) -> None:
    found = fit(make_grid("isoflop"), "isoflop", resamples=10)
    np.testing.assert_allclose(found.theta, [0.6, 72.0, 0.16, 0.042, 0.52, 0.07], rtol=1e-4)
    assert found.method == "isoflop"
    assert len(found.parabolas) == 4


def test_the_exponent_of_a_noise_free_chinchilla_surface_comes_back(make_grid) -> None:
    # alpha and beta differ, so every parabola is bent and its vertex a little off (INDEX of the published
    # tables: a few percent of D); but all by the same factor, so the exponent survives.
    found = fit(make_grid("chinchilla", n_budgets=6, spread=2.0), "isoflop", resamples=0)
    assert found.coefficients["a"].value == pytest.approx(0.35 / 0.75, abs=1e-3)


def test_the_vertex_bias_vanishes_as_the_grid_narrows(make_grid) -> None:
    def miss(spread: float) -> float:
        found = fit(make_grid("chinchilla", spread=spread), "isoflop", resamples=0)
        narrow = fit(make_grid("chinchilla", spread=1.05), "isoflop", resamples=0)
        return abs(np.log(found.parabolas[0].size.value / narrow.parabolas[0].size.value))

    assert miss(1.5) < miss(3.0) < miss(8.0)


def test_a_parabola_is_given_about_zero_and_its_minimum_is_its_own(make_grid) -> None:
    found = fit(make_grid("isoflop", noise=0.005), "isoflop", resamples=20)
    for parabola in found.parabolas:
        c0, c1, c2 = parabola.coefficients
        u = -c1 / (2 * c2)
        assert np.exp(u) == pytest.approx(parabola.size.value, rel=1e-6)
        assert c0 + c1 * u + c2 * u**2 == pytest.approx(parabola.loss.value, rel=1e-6)
        assert parabola.size.low <= parabola.size.value <= parabola.size.high
        assert 6 * parabola.size.value * parabola.tokens.value == pytest.approx(parabola.budget)


def test_intervals_grow_with_the_noise(make_grid) -> None:
    quiet, loud = (
        fit(make_grid("isoflop", noise=noise), "isoflop", resamples=60).coefficients["a"]
        for noise in (0.001, 0.01)
    )
    assert loud.high - loud.low > 4 * (quiet.high - quiet.low)
    assert quiet.low < quiet.value < quiet.high


def test_the_floor_stays_open_with_few_budgets_and_the_fit_says_so(make_grid) -> None:
    found = fit(make_grid("isoflop", noise=0.02), "isoflop", resamples=60)
    codes = {finding.code for finding in found.findings}
    assert {"FIT003", "FIT012"} <= codes
    assert found.coefficients["E"].low >= 0


def test_a_budget_without_a_bracketed_minimum_is_named_and_not_used(make_grid) -> None:
    runs = make_grid("isoflop", n_budgets=5)
    dearest = runs["budget"] == runs["budget"].max()
    best = 0.042 * runs["budget"].max() ** 0.52
    found = fit(runs.select(~dearest | (runs.size > 1.2 * best)), "isoflop", resamples=0)
    assert len(found.parabolas) == 4
    assert found.n_runs == 28
    assert [finding.code for finding in found.findings if finding.code == "FIT008"] == ["FIT008"]


def test_a_parabola_that_opens_downwards_is_not_used(make_grid) -> None:
    runs = make_grid("isoflop", n_budgets=4)
    loss = runs.loss.copy()
    first = runs["budget"] == runs["budget"].min()
    loss[first] = 2 * loss[first].max() - loss[first]
    found = fit(Runs.from_columns({**runs.columns, "loss": loss}), "isoflop", resamples=0)
    assert len(found.parabolas) == 3
    assert "FIT007" in {finding.code for finding in found.findings}


def test_stray_runs_are_counted_and_not_used(make_grid) -> None:
    runs = make_grid("isoflop")
    budget = runs["budget"].copy()
    budget[:5] = budget[:5] * np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    found = fit(Runs.from_columns({**runs.columns, "budget": budget}), "isoflop", resamples=0)
    assert len(found.parabolas) == 3
    assert "FIT014" in {finding.code for finding in found.findings}


def test_computes_without_gaps_are_not_taken_for_a_budget() -> None:
    compute = np.geomspace(1e10, 1e12, 60)
    size = np.sqrt(compute / 120) * np.tile([0.3, 1.0, 3.0], 20)
    runs = Runs.from_columns({"params": size, "compute": compute, "loss": 2 + 0.1 * np.log(size) ** 2})
    with pytest.raises(InputError) as raised:
        fit(runs, "isoflop")
    assert "not one budget" in raised.value.hint


def test_two_usable_budgets_are_too_few(make_grid) -> None:
    with pytest.raises(InputError, match="isoflop needs 3 budgets with a minimum between their sizes, got 2"):
        fit(make_grid("isoflop", n_budgets=2), "isoflop")


def test_sizes_on_one_side_of_every_minimum_are_refused_and_the_hint_says_which(make_grid) -> None:
    with pytest.raises(InputError) as raised:
        fit(make_grid("isoflop", off_centre=6.0, spread=2.0), "isoflop")
    assert "lies outside its sizes" in raised.value.hint


def test_budgets_are_found_without_a_column_by_their_gaps(make_grid) -> None:
    runs = make_grid("isoflop", noise=0.01)
    without = {name: column for name, column in runs.columns.items() if name != "budget"}
    jitter = np.exp(np.random.default_rng(0).uniform(-0.02, 0.02, len(runs)))
    without["tokens"] = runs.tokens * jitter
    del without["compute"]
    groups = budget_groups(Runs.from_columns(without))
    assert [len(group.rows) for group in groups] == [7, 7, 7, 7]
    np.testing.assert_allclose([group.compute for group in groups], 5e10 * 3.0 ** np.arange(4), rtol=0.02)


def test_a_budget_column_far_from_the_actual_compute_only_groups(make_grid) -> None:
    runs = make_grid("isoflop")
    groups = budget_groups(Runs.from_columns({**runs.columns, "budget": 2 * runs["budget"]}))
    np.testing.assert_allclose([group.compute for group in groups], 5e10 * 3.0 ** np.arange(4))


def test_counting_differently_moves_the_exponent_as_the_counts_relate(make_grid) -> None:
    runs = make_grid("isoflop", noise=0.003)
    # A count that grows as the power 1.1 of another has an exponent 1.1 times as large.
    other = Runs.from_columns({**runs.columns, "params_nonembedding": 0.2 * runs.size**1.1})
    exponents = exponent_by_count(other, resamples=20)
    assert set(exponents) == {"params", "params_nonembedding"}
    assert exponents["params_nonembedding"].value == pytest.approx(1.1 * exponents["params"].value)


def test_points_of_one_training_run_keep_their_common_error_together(make_grid) -> None:
    noisy = make_grid("isoflop", noise=0.01, spread=8.0)
    ladder = np.tile(np.geomspace(3e3, 4e5, 7), 4)
    runs = Runs.from_columns(
        {"params": ladder, "compute": noisy.compute, "loss": noisy.loss, "seed": 0 * ladder}
    )
    valleys = [
        Valley.build(
            compute=group.compute,
            rows=group.rows,
            log_size=np.log(runs.size[group.rows]),
            log_tokens=np.log(runs.tokens[group.rows]),
        )
        for group in budget_groups(runs)
    ]
    point = fit_surfaces(tuple(valleys), [runs.loss[valley.rows][None] for valley in valleys])
    rng = np.random.default_rng(0)
    drawn = residual_losses(tuple(valleys), runs, point, resamples=50, rng=rng)
    flips = [
        np.sign((losses - fitted[0]) / (runs.loss[valley.rows] - fitted[0]))
        for valley, losses, fitted in zip(valleys, drawn, point.fitted, strict=True)
    ]
    for budget in flips[1:]:
        np.testing.assert_array_equal(budget, flips[0])
    assert {-1.0, 1.0} == set(flips[0].ravel())
