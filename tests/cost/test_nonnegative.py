"""Least squares with factors at or above zero."""

from __future__ import annotations

import numpy as np

from scalescope.cost.nonnegative import fit_nonnegative


def test_recovers_the_factors_that_made_the_data():
    parts = np.random.default_rng(0).uniform(0.1, 1, (40, 4))
    true = np.array([2.0, 0.5, 0.0, 3.0])
    np.testing.assert_allclose(fit_nonnegative(parts, parts @ true), true, atol=1e-6)


def test_a_factor_that_would_turn_negative_is_zero_and_the_rest_is_the_best_without_it():
    random = np.random.default_rng(1)
    parts = random.uniform(0.1, 1, (60, 3))
    wanted = parts @ np.array([2.0, -0.6, 1.0])
    found = fit_nonnegative(parts, wanted, scale=np.ones(60))
    assert found[1] == 0
    assert (found >= 0).all()
    alone = np.maximum(fit_nonnegative(parts[:, [0, 2]], wanted, scale=np.ones(60)), 0)
    np.testing.assert_allclose(found[[0, 2]], alone, rtol=1e-6)


def test_one_wild_observation_hardly_moves_the_fit():
    parts = np.random.default_rng(2).uniform(0.5, 1, (30, 1))
    wanted = 2.0 * parts[:, 0]
    wanted[0] *= 10
    assert abs(fit_nonnegative(parts, wanted)[0] - 2.0) < 0.05


def test_without_cells_that_tell_a_factor_stays_at_its_centre():
    parts = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    centre = np.array([1.0, 7.0])
    found = fit_nonnegative(parts, np.array([2.0, 4.0, 6.0]), centre=centre, weight=0.01)
    np.testing.assert_allclose(found, [2.0, 7.0], rtol=0.02)
