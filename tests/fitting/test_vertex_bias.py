from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.isoflop_bias import IsoflopBias, isoflop_bias
from scalescope.laws import optimal_size
from scalescope.points import Runs

TRUTH = np.array([0.8, 34.0, 61.5, 0.40, 0.35])


def test_a_true_parabola_has_no_bias_worth_correcting(make_grid) -> None:
    # Under equal exponents the loss is symmetric about its minimum, and so is the grid.
    found = isoflop_bias(
        make_grid("isoflop"),
        surface={"E": 0.8, "A": 34.0, "B": 34.0, "alpha": 0.4, "beta": 0.4},
        resamples=0,
    )
    raw, corrected = found.size_exponent.raw.value, found.size_exponent.corrected.value
    assert raw == pytest.approx(0.52, abs=1e-6)
    assert corrected == pytest.approx(raw + found.size_exponent.bias.value * -1)


def test_raw_is_corrected_times_the_bias(make_grid) -> None:
    found = isoflop_bias(make_grid("chinchilla", spread=8.0), resamples=0)
    for one in (found.size, found.tokens, found.tokens_per_param):
        assert one.raw.value == pytest.approx(one.corrected.value * (1 + one.bias.value))
    ratio = found.tokens.corrected.value / found.size.corrected.value
    assert found.tokens_per_param.corrected.value == pytest.approx(ratio)


def test_the_correction_brings_noisy_wide_grids_nearer_to_the_truth(make_grid) -> None:
    truth = float(optimal_size("chinchilla", TRUTH, 1e13))
    raw, corrected = [], []
    for seed in range(12):
        runs = make_grid("chinchilla", spread=16.0, n_budgets=5, noise=0.002, seed=seed)
        found = isoflop_bias(runs, compute=1e13, resamples=0)
        raw.append(np.log(found.size.raw.value / truth))
        corrected.append(np.log(found.size.corrected.value / truth))
    assert np.abs(np.mean(corrected)) < np.abs(np.mean(raw)) / 3
    assert np.mean(np.square(corrected)) < np.mean(np.square(raw)) / 2


def test_intervals_hold_the_estimates_and_grow_with_the_noise(make_grid) -> None:
    quiet, loud = (
        isoflop_bias(make_grid("chinchilla", noise=noise), resamples=60).size.corrected
        for noise in (0.001, 0.01)
    )
    for one in (quiet, loud):
        assert one.low < one.value < one.high
    assert np.log(loud.high / loud.low) > 4 * np.log(quiet.high / quiet.low)


def test_a_bias_above_a_percent_is_a_finding(make_grid) -> None:
    wide = isoflop_bias(make_grid("chinchilla", spread=16.0), resamples=0)
    narrow = isoflop_bias(make_grid("chinchilla", spread=1.3), resamples=0)
    assert "FIT050" in {finding.code for finding in wide.findings}
    assert "FIT050" not in {finding.code for finding in narrow.findings}


def test_it_survives_the_way_to_json_and_back(make_grid) -> None:
    found = isoflop_bias(make_grid("chinchilla", noise=0.01), resamples=20)
    again = IsoflopBias.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()
    assert again.summary() == found.summary()
    assert [row["quantity"] for row in found.frame()] == ["N*", "D*", "D/N", "a", "b"]


def test_a_law_without_tokens_is_no_surface_for_it(make_grid) -> None:
    with pytest.raises(InputError, match="not a surface in N and D"):
        isoflop_bias(make_grid("chinchilla"), law="isoflop")


def test_tables_whose_compute_is_not_6nd_are_compared_along_their_own_tokens(make_grid) -> None:
    runs = make_grid("chinchilla", spread=8.0, n_sizes=9)
    # Compute with a part that does not grow with N: tokens fall more slowly than 1/N along a budget.
    tokens = runs["budget"] / (6 * runs.size + 3e3)
    loss = TRUTH[0] + TRUTH[1] * runs.size**-0.40 + TRUTH[2] * tokens**-0.35
    columns = {"params": runs.size, "tokens": tokens, "compute": runs["budget"], "loss": loss}
    found = isoflop_bias(Runs.from_columns({**columns, "budget": runs["budget"]}), resamples=0)
    fine = np.geomspace(1e3, 1e8, 200_001)
    for budget, bias in zip(found.budgets, found.size_bias, strict=True):
        D = budget / (6 * fine + 3e3)
        best = fine[np.argmin(TRUTH[0] + TRUTH[1] * fine**-0.40 + TRUTH[2] * D**-0.35)]
        rows = runs["budget"] == budget
        p = np.polyfit(np.log(runs.size[rows]), loss[rows], 2)
        vertex = np.exp(-p[1] / 2 / p[0])
        assert np.log1p(bias) == pytest.approx(np.log(vertex / best), abs=0.01)
