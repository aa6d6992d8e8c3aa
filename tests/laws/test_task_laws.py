"""Laws of tasks: how their forms hang together."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.laws import get_law
from scalescope.points import Array

SIZES = np.geomspace(1e6, 1e12, 50)


def example(name: str, **x: Array) -> Array:
    law = get_law(name)
    return law.value(law.examples, **x)


def test_exact_match_and_edit_distance_are_two_readings_of_one_loss() -> None:
    T = np.full(50, 7.0)
    exact = example("exact-match", N=SIZES, T=T)
    wrong = example("edit-distance", N=SIZES, T=T)
    # Each token is right with probability 1 - wrong/T, and all T are with its T-th power.
    np.testing.assert_allclose(exact, (1 - wrong / T) ** T, rtol=1e-9)


def test_a_longer_answer_moves_the_rise_to_larger_sizes_and_keeps_its_width() -> None:
    sizes = np.geomspace(1e2, 1e22, 20_001)

    def rise(T: float) -> Array:
        score = example("exact-match", N=sizes, T=np.full(len(sizes), T))
        return np.log10(sizes[np.searchsorted(score, [0.01, 0.5])])

    first, later = rise(1.0), rise(100.0)
    alpha = get_law("exact-match").examples[1]
    np.testing.assert_allclose(later - first, 2 / alpha, atol=0.01)


def test_guessing_is_what_a_high_loss_gives() -> None:
    loss = np.array([60.0])
    assert example("error-from-loss", L=loss) == pytest.approx(get_law("error-from-loss").examples[0])
    assert example("accuracy-from-loss", L=loss) == pytest.approx(get_law("accuracy-from-loss").examples[0])


def test_accuracy_from_loss_is_the_form_of_the_paper_with_its_sign_settled() -> None:
    law, L = get_law("accuracy-from-loss"), np.linspace(0.5, 3, 20)
    floor, ceiling, k, L_0 = law.examples
    a, b = floor - ceiling, ceiling
    np.testing.assert_allclose(law.value(law.examples, L=L), a / (1 + np.exp(-k * (L - L_0))) + b, rtol=1e-12)


@pytest.mark.parametrize("name", ["aggregate-sigmoid", "scale-rl"])
def test_half_way_is_at_the_middle_compute(name: str) -> None:
    law = get_law(name)
    floor, ceiling, middle, _ = law.examples
    assert law.value(law.examples, C=np.array([middle])) == pytest.approx((floor + ceiling) / 2)


def test_no_compute_and_no_end_of_compute_are_the_two_ends() -> None:
    law = get_law("scale-rl")
    ends = law.value(law.examples, C=np.array([1e-200, 1e300]))
    np.testing.assert_allclose(ends, law.examples[:2], rtol=1e-12)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_observational_takes_other_numbers_of_features(number: int) -> None:
    law = get_law(f"observational-{number}")
    assert list(law.variables) == [f"S{i}" for i in range(1, number + 1)]
    assert len(law.coefficients) == number + 2
    x = law.design()
    theta, step = law.examples.astype(complex), 1e-30j
    for index in range(len(theta)):
        moved = theta.copy()
        moved[index] += step
        exact = np.asarray(law.value(moved, **x)).imag / 1e-30
        np.testing.assert_allclose(law.gradient(law.examples, **x)[index], exact, rtol=1e-8, atol=1e-12)


def test_observational_refuses_more_features_than_a_table_has() -> None:
    with pytest.raises(InputError, match="1 to 4 features, got 5"):
        get_law("observational-5")
