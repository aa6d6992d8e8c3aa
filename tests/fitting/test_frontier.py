from __future__ import annotations

import numpy as np

from scalescope.fitting import used_by
from scalescope.points import Runs


def table(size: list[float], tokens: list[float], loss: list[float], **more: list[float]) -> Runs:
    return Runs.from_columns({"params": size, "tokens": tokens, "loss": loss, **more})


def test_laws_of_two_factors_use_all_but_the_held_out() -> None:
    runs = table([1e4, 2e4, 4e4], [1e6, 1e6, 1e6], [3, 2, 1], held_out=[0, 0, 1])
    assert used_by(runs, "chinchilla").tolist() == [True, True, False]


def test_the_best_run_of_each_size_is_used() -> None:
    runs = table([1e4, 1e4, 2e4, 2e4], [1e6, 2e6, 1e6, 2e6], [3.0, 2.5, 2.8, 2.2])
    assert used_by(runs, "loss-size").tolist() == [False, True, False, True]


def test_a_size_that_was_starved_of_data_is_left_out() -> None:
    runs = table([1e4, 2e4, 4e4], [1e7, 1e7, 1e5], [2.5, 2.2, 2.4])
    assert used_by(runs, "loss-size").tolist() == [True, True, False]


def test_the_best_run_of_each_repeated_token_count_is_used() -> None:
    runs = table([1e4, 2e4, 1e4, 2e4], [1e6, 1e6, 2e6, 2e6], [3.0, 2.9, 2.5, 2.3])
    assert used_by(runs, "loss-data").tolist() == [False, True, False, True]


def test_token_counts_that_do_not_repeat_are_binned() -> None:
    tokens = list(np.geomspace(1e6, 1e8, 40))
    runs = table([1e4] * 40, tokens, list(3 - 0.01 * np.arange(40)))
    assert 10 <= used_by(runs, "loss-data").sum() <= 14


def test_the_best_run_of_each_budget_is_used() -> None:
    runs = table(
        [1e4, 2e4, 4e4] * 2,
        [4e6, 2e6, 1e6, 12e6, 6e6, 3e6],
        [2.6, 2.4, 2.5, 2.3, 2.2, 2.0],
        budget=[2.4e11] * 3 + [7.2e11] * 3,
    )
    assert used_by(runs, "loss-compute").tolist() == [False, True, False, False, False, True]


def test_without_budgets_the_lower_hull_is_used() -> None:
    compute = np.geomspace(1e10, 1e13, 30)
    frontier = 3 * (compute / 1e10) ** -0.1
    loss = frontier * np.where(np.arange(30) % 3 == 0, 1.0, 1.1)
    runs = table(list(np.sqrt(compute / 60)), list(np.sqrt(compute / 60) * 10), list(loss))
    used = used_by(runs, "loss-compute")
    assert used[[0, 27]].all()
    assert not used[np.arange(30) % 3 != 0][:-2].any()
