from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.stacking import stack_weights, stacked


def share(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


def test_weights_are_a_mixture() -> None:
    errors = np.random.default_rng(0).normal(size=(40, 5)) * [1, 2, 3, 4, 5]
    weights = stack_weights(errors, share(40))
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)


def test_laws_that_err_in_opposite_directions_are_balanced() -> None:
    errors = np.stack([np.full(30, 0.02), np.full(30, -0.02), np.full(30, 0.2)], axis=1)
    weights = stack_weights(errors, share(30))
    assert weights[0] == pytest.approx(weights[1], abs=0.1)
    assert abs(errors[0] @ weights) < 0.01
    assert weights[2] < 0.05


def test_the_better_of_two_like_laws_gets_more() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(size=60)
    errors = np.stack([0.01 * common, 0.02 * common], axis=1)
    weights = stack_weights(errors, share(60))
    assert weights[0] > 0.75


def test_few_hold_outs_cannot_put_all_weight_on_one_of_equals() -> None:
    errors = np.array([[0.010, 0.011], [-0.010, -0.011]])
    weights = stack_weights(errors, share(2))
    assert weights.min() > 0.25


def test_an_exact_law_gets_all() -> None:
    errors = np.array([[0.0, 0.1], [0.0, -0.1]])
    np.testing.assert_array_equal(stack_weights(errors, share(2)), [1.0, 0.0])


def test_a_stack_predicts_the_weighted_geometric_mean() -> None:
    both = {"one": np.array([2.0, 4.0]), "other": np.array([8.0, 1.0])}
    np.testing.assert_allclose(stacked(both, {"one": 0.5, "other": 0.5}), [4.0, 2.0])


def test_a_law_with_weight_must_have_predicted() -> None:
    with pytest.raises(InputError, match="needs a prediction of other"):
        stacked({"one": np.ones(2)}, {"one": 0.5, "other": 0.5})
    np.testing.assert_allclose(stacked({"one": np.ones(2)}, {"one": 1.0, "other": 0.0}), 1.0)


def test_no_law_is_no_stack() -> None:
    with pytest.raises(InputError, match="no law to stack"):
        stack_weights(np.zeros((3, 0)), share(3))
