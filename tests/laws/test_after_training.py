"""Laws of what comes after pre-training, and of vision: their turning points and limits."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law
from scalescope.points import Array


def example(name: str, **x: Array) -> Array:
    law = get_law(name)
    return law.value(law.examples, **x)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("best-of-n", lambda alpha, beta: alpha / (2 * beta)),
        ("rl-overoptimisation", lambda alpha, beta: np.exp(alpha / beta - 1)),
    ],
)
def test_the_true_reward_peaks_where_the_paper_says(name: str, peak: object) -> None:
    assert callable(peak)
    best = float(peak(*get_law(name).examples))
    d = best * np.array([0.98, 1.0, 1.02])
    assert example(name, KL=d**2).argmax() == 1


@pytest.mark.parametrize("name", ["best-of-n", "rl-overoptimisation"])
def test_a_policy_that_has_not_moved_has_no_reward(name: str) -> None:
    assert example(name, KL=np.array([0.0]))[0] == 0.0
    assert np.isfinite(get_law(name).gradient(get_law(name).examples, KL=np.array([0.0]))).all()


def test_coverage_is_the_form_of_the_paper_with_its_signs_turned() -> None:
    a, b = get_law("repeated-sampling").examples
    k = np.array([1.0, 10.0, 1000.0])
    np.testing.assert_allclose(example("repeated-sampling", k=k), np.exp(-a * k**-b), rtol=1e-12)


def test_a_decade_of_training_saves_more_than_a_decade_at_play() -> None:
    law = get_law("train-test-trade")
    theta = np.array(list(law.published["jones2021"].coefficients.values()))
    few, many = law.value(theta, C_train=np.array([1e15, 1e16]), Elo=np.full(2, -500.0))
    assert few / many == pytest.approx(10**1.2)


def test_250_elo_cost_a_decade_at_play() -> None:
    law = get_law("train-test-trade")
    theta = np.array(list(law.published["jones2021"].coefficients.values()))
    weak, strong = law.value(theta, C_train=np.full(2, 1e15), Elo=np.array([-500.0, -250.0]))
    assert strong / weak == pytest.approx(10.0)


def test_with_endless_experience_performance_is_a_power_of_size() -> None:
    law = get_law("intrinsic-performance")
    _, alpha_N, _, _, beta = law.examples
    N = np.array([1e4, 1e6])
    small, large = law.value(law.examples, N=N, X=np.full(2, 1e60))
    assert large / small == pytest.approx(100 ** (alpha_N / beta), rel=1e-6)


def test_vision_levels_off_at_both_ends() -> None:
    law = get_law("vision")
    a, b, c, d = theta = np.array(list(law.published["zhai2021-10-shot"].coefficients.values()))
    ends = law.value(theta, C=np.array([1e-12, 1e12]))
    np.testing.assert_allclose(ends, [a + b * d**-c, a + b * 1e12**-c], rtol=1e-9)
    assert ends[0] < 1.0


def test_vision_never_reads_flop() -> None:
    assert get_law("vision").variables["C"].column == "tpu_core_days"
