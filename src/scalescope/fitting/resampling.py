"""Refits to resampled runs: what intervals are made of."""

from __future__ import annotations

import numpy as np

from scalescope.fitting.clusters import FEWEST, Labels, cluster_labels, resample_weights
from scalescope.fitting.objective import Objective
from scalescope.fitting.solver import minimise
from scalescope.points import Array, Runs


def resample_fit(objective: Objective, runs: Runs, warm: Array, *, resamples: int, seed: int) -> Array:
    """Refit to resampled runs (see `clusters`), shape (up to resamples, k), natural units."""
    k = len(objective.law.coefficients)
    if resamples == 0:
        return np.zeros((0, k))
    weights = resample_weights(
        resampled_labels(runs),
        tuple(objective.x.values()),
        settings=k,
        resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    n_warm = len(warm)
    solution = minimise(
        objective,
        np.tile(warm, (len(weights), 1)),
        np.log(runs.loss)[None],
        np.repeat(weights, n_warm, axis=0),
        tolerance=1e-6,
        max_iterations=100,
    )
    best = solution.objective.reshape(-1, n_warm).argmin(axis=1)
    return objective.natural(solution.phi.reshape(len(weights), n_warm, k)[np.arange(len(weights)), best])


def resampled_labels(runs: Runs) -> Labels:
    """Clusters where there are enough of them, else every run by itself."""
    labels = cluster_labels(runs)
    return labels if labels.max() + 1 >= FEWEST else np.arange(len(runs))
