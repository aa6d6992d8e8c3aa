from __future__ import annotations

import numpy as np
import pytest

from scalescope.fitting import roll
from scalescope.laws import LAWS
from scalescope.points import Runs


def test_every_cut_that_can_be_fitted_is_forecast(make_grid) -> None:
    found = roll(make_grid("isoflop", n_budgets=6, noise=0.002), "isoflop")
    assert [holdout.n_fitted for holdout in found] == [21, 28, 35]
    for holdout in found:
        assert holdout.n_predicted == 7
        assert holdout.ratio == pytest.approx(3.0)
        assert abs(holdout.log_error) <= holdout.rms_error < 0.05


def test_the_right_law_without_noise_forecasts_exactly(make_grid) -> None:
    for holdout in roll(make_grid("chinchilla", n_budgets=4), "chinchilla"):
        assert holdout.rms_error < 1e-5


def test_a_law_without_a_floor_is_optimistic_where_there_is_one() -> None:
    N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e4, 1e6, 8), np.geomspace(1e6, 1e8, 8)))
    loss = 1.5 + 30 * N**-0.4 + 60 * D**-0.4
    *_, last = roll(Runs.from_columns({"params": N, "tokens": D, "loss": loss}), "kaplan")
    assert last.log_error < 0


@pytest.mark.parametrize("law", LAWS)
def test_too_few_runs_give_no_hold_outs_rather_than_an_error(law: str) -> None:
    runs = Runs.from_columns({"params": [1e4, 2e4], "tokens": [1e6, 1e6], "loss": [3.0, 2.5]})
    assert roll(runs, law) == ()
    assert roll(runs.select(np.zeros(2, dtype=bool)), law) == ()
