"""Sums over the learning rate, against the definition written out step by step."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws.rate_sums import annealing_sums
from scalescope.points import Array

STEPS = np.arange(1.0, 3001.0)
SCHEDULES = {
    "cosine": 1e-3 * (0.55 + 0.45 * np.cos(np.pi * STEPS / STEPS[-1])),
    "steps": np.select([STEPS < 500, STEPS < 2000], [3e-3, 1e-3], 1e-4),
    "cycles": 1e-3 * (1 + 0.5 * np.sin(STEPS / 200)),
    "constant": np.full(len(STEPS), 2e-3),
}


def by_definition(rate: Array, momentum: float = 0.999) -> tuple[Array, Array]:
    m, total, S2 = 0.0, 0.0, np.zeros(len(rate))
    for step in range(1, len(rate)):
        m = momentum * m + (rate[step - 1] - rate[step])
        total += m
        S2[step] = total
    return np.cumsum(rate), S2


@pytest.mark.parametrize("rate", SCHEDULES.values(), ids=SCHEDULES)
def test_every_step_given_they_are_the_sums_of_the_paper(rate: Array) -> None:
    S1, S2 = annealing_sums(np.zeros(len(rate)), STEPS, rate)
    wanted_S1, wanted_S2 = by_definition(rate)
    # The trapezoid counts half of the first and of the last rate otherwise than the plain sum.
    np.testing.assert_allclose(S1, wanted_S1 + (rate[0] - rate) / 2, rtol=1e-12)
    np.testing.assert_allclose(S2, wanted_S2, rtol=1e-9, atol=1e-12)


def test_a_straight_fall_needs_its_two_ends_only() -> None:
    rate = np.linspace(1e-3, 1e-5, len(STEPS))
    S1, S2 = annealing_sums(np.zeros(len(rate)), STEPS, rate)
    ends = [0, len(rate) - 1]
    few_S1, few_S2 = annealing_sums(np.zeros(2), STEPS[ends], rate[ends])
    np.testing.assert_allclose(few_S1, S1[ends], rtol=1e-12)
    np.testing.assert_allclose(few_S2, S2[ends], rtol=1e-10, atol=1e-15)


def test_the_order_of_the_rows_and_other_curves_change_nothing() -> None:
    parts = {
        name: (np.full(len(STEPS), float(i)), STEPS, rate) for i, (name, rate) in enumerate(SCHEDULES.items())
    }
    alone = {name: annealing_sums(*part) for name, part in parts.items()}
    together = [np.concatenate(columns) for columns in zip(*parts.values(), strict=True)]
    shuffled = np.random.default_rng(0).permutation(len(together[0]))
    sums = annealing_sums(*(column[shuffled] for column in together))
    for got, index in zip(sums, (0, 1), strict=True):
        wanted = np.concatenate([one[index] for one in alone.values()])
        np.testing.assert_allclose(got, wanted[shuffled], rtol=1e-9, atol=1e-12)


def test_a_step_that_is_given_twice_counts_once() -> None:
    step, rate = np.array([100.0, 200.0, 200.0, 300.0]), np.array([1e-3, 5e-4, 5e-4, 1e-4])
    S1, S2 = annealing_sums(np.zeros(4), step, rate)
    once_S1, once_S2 = annealing_sums(np.zeros(3), step[[0, 1, 3]], rate[[0, 1, 3]])
    np.testing.assert_allclose(S1[[0, 1, 3]], once_S1)
    np.testing.assert_allclose(S2[[0, 1, 3]], once_S2, atol=1e-15)


def test_very_long_curves_neither_overflow_nor_lose_digits() -> None:
    step = np.geomspace(1.0, 1e8, 500)
    rate = 1e-3 * (1 - 0.9 * np.linspace(0, 1, 500))
    S1, S2 = annealing_sums(np.zeros(500), step, rate)
    assert np.isfinite(S1).all()
    # Stretches far longer than the memory: what it holds in all is 1,000 times the fall.
    assert S2[-1] == pytest.approx(1000 * (rate[0] - rate[-1]), rel=1e-3)
