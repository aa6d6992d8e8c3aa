"""The noise about a fit, from residuals and what the fit could take in."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.fitting.noise import noise_of


def test_residuals_of_a_law_in_which_nothing_can_move_are_the_noise():
    residuals = np.random.default_rng(0).normal(0, 0.5, 400)
    labels = np.repeat(np.arange(100), 4)
    noise = noise_of(residuals, labels, np.zeros((400, 0)))
    assert np.hypot(noise.own, noise.common) == pytest.approx(np.sqrt((residuals**2).mean()), rel=0.02)


def test_noise_that_clusters_share_is_told_from_their_own():
    draw = np.random.default_rng(1)
    labels = np.repeat(np.arange(2000), 3)
    residuals = draw.normal(0, 0.3, 2000)[labels] + draw.normal(0, 0.4, 6000)
    noise = noise_of(residuals, labels, np.full((6000, 1), 6000**-0.5))
    assert (noise.common, noise.own) == pytest.approx((0.3, 0.4), rel=0.05)
