r"""Which runs share their luck, and resamples of runs that keep it together.

Where one training run serves many token counts (a constant trunk with a cooldown branched off at each), its
points share initialisation, data order and most of the path: their errors are common, and treating them as
independent makes intervals too narrow. So whole clusters are drawn with replacement (the pairs cluster
bootstrap: Cameron, Gelbach & Miller 2008, https://doi.org/10.1162/rest.90.3.414). A cluster is a (size, seed)
where the table has seeds, else what stands before "@" or "/" in the name where that repeats, else a run.

Draws from which the law could not be fitted are drawn again: each keeps at least two values of every
variable and as many different settings as there are coefficients. Below `FEWEST` clusters a draw would be
mostly luck: then runs are drawn one by one, and a finding says what that leaves out.

`benchmarks/coverage.py` measures how often the intervals hold the truth, with and without shared noise. The
wild bootstrap of residuals was tried too and covers too seldom for this objective, whose residuals are
exactly zero at as many runs as there are coefficients.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from scalescope.points import Array, Runs

FEWEST = 6
"""Clusters needed to resample clusters rather than runs."""

Labels = npt.NDArray[np.intp]


def cluster_labels(runs: Runs) -> Labels:
    """Number the cluster of every run, shape (n_runs,)."""
    if "seed" in runs and not np.isnan(runs["seed"]).all():
        keys = np.stack([np.log(runs.size).round(6), runs["seed"]], axis=1)
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    trunks = [re.split("[@/]", name)[0] for name in runs.names]
    if trunks and len(set(trunks)) < len(trunks):
        return np.unique(trunks, return_inverse=True)[1].reshape(-1)
    return np.arange(len(runs))


def setting_labels(*variables: Array) -> Labels:
    """Number the distinct settings: values equal to six digits of their logarithm are one."""
    keys = np.stack([np.log(variable).round(6) for variable in variables], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def resample_weights(
    labels: Labels, variables: tuple[Array, ...], *, settings: int, resamples: int, rng: np.random.Generator
) -> Array:
    """How often each run occurs in each resample, shape (resamples, n_runs).

    Parameters
    ----------
    labels
        Cluster of every run.
    variables
        What the law reads, each of shape (n_runs,).
    settings
        How many distinct settings every resample must keep.
    resamples
        How many to draw. Fewer come back when the conditions are met too seldom.
    rng
        Source of randomness.
    """
    each = [setting_labels(variable) for variable in variables]
    joint = setting_labels(*variables)
    kept: list[Array] = []
    n_clusters, wanted = int(labels.max()) + 1, min(settings, int(joint.max()) + 1)
    for _ in range(20):
        drawn = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=resamples)
        weights = drawn[:, labels].astype(np.float64)
        good = n_kept(weights, joint) >= wanted
        for label in each:
            good &= n_kept(weights, label) >= min(2, int(label.max()) + 1)
        kept.append(weights[good])
        if sum(len(part) for part in kept) >= resamples:
            break
    return np.concatenate(kept)[:resamples]


def n_kept(weights: Array, labels: Labels) -> npt.NDArray[np.intp]:
    """How many different labels have weight in each resample."""
    member = np.zeros((len(labels), int(labels.max()) + 1))
    member[np.arange(len(labels)), labels] = 1
    return np.asarray((weights @ member > 0).sum(axis=1))


def seed_noise(runs: Runs) -> float | None:
    """Pooled standard deviation of the log loss among repeats of one (N, D); None without repeats."""
    labels = setting_labels(runs.size, runs.tokens)
    squares, freedom = 0.0, 0
    for label in range(int(labels.max()) + 1):
        rows = labels == label
        if "seed" in runs and np.unique(runs["seed"][rows]).size < 2:
            continue
        log_loss = np.log(runs.loss[rows])
        squares += float(((log_loss - log_loss.mean()) ** 2).sum())
        freedom += log_loss.size - 1
    return float(np.sqrt(squares / freedom)) if freedom else None
