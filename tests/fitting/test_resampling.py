from __future__ import annotations

import numpy as np
import pytest

from scalescope.fitting.clusters import cluster_labels, n_kept, resample_weights, seed_noise, setting_labels
from scalescope.points import Runs


def runs_with(names: tuple[str, ...] = (), **columns: list[float]) -> Runs:
    n = len(columns["params"])
    table = {"tokens": np.geomspace(1e6, 1e7, n), "loss": np.full(n, 2.0)} | columns
    return Runs.from_columns(table, names=names)


def test_a_cluster_is_a_size_and_seed() -> None:
    labels = cluster_labels(runs_with(params=[1e4, 1e4, 1e4, 2e4], seed=[0, 0, 1, 0]))
    assert labels[0] == labels[1]
    assert len(set(labels)) == 3


def test_without_seeds_the_name_before_the_sign_tells_the_training_run() -> None:
    names = ("d32-s0@1e6", "d32-s0@3e6", "d64-s0@1e6")
    labels = cluster_labels(runs_with(names, params=[1e4, 1e4, 2e4]))
    assert labels[0] == labels[1] != labels[2]


def test_without_either_every_run_is_by_itself() -> None:
    assert len(set(cluster_labels(runs_with(params=[1e4, 1e4, 2e4])))) == 3


def test_clusters_are_drawn_whole_and_every_draw_can_be_fitted() -> None:
    labels = np.repeat(np.arange(4), 3)
    size, tokens = np.repeat([1e4, 2e4, 4e4, 8e4], 3), np.tile([1e6, 2e6, 4e6], 4)
    weights = resample_weights(
        labels, (size, tokens), settings=5, resamples=200, rng=np.random.default_rng(0)
    )
    assert weights.shape == (200, 12)
    assert (weights.sum(axis=1) == 12).all()
    by_cluster = weights.reshape(200, 4, 3)
    assert (by_cluster == by_cluster[:, :, :1]).all()
    assert (n_kept(weights, setting_labels(size)) >= 2).all()
    assert (n_kept(weights, setting_labels(size, tokens)) >= 5).all()


def test_seed_noise_is_pooled_over_repeated_settings() -> None:
    rng = np.random.default_rng(1)
    size = np.repeat(np.geomspace(1e4, 1e6, 200), 3)
    loss = 2 * np.exp(0.01 * rng.standard_normal(600))
    tokens = np.repeat(np.geomspace(1e6, 1e8, 200), 3)
    runs = Runs.from_columns(
        {"params": size, "tokens": tokens, "loss": loss, "seed": np.tile([0, 1, 2], 200)}
    )
    assert seed_noise(runs) == pytest.approx(0.01, rel=0.1)


def test_seed_noise_is_unknown_without_repeats() -> None:
    assert seed_noise(runs_with(params=[1e4, 2e4, 4e4])) is None
    same_seed = Runs.from_columns(
        {"params": [1e4, 1e4], "tokens": [1e6, 1e6], "loss": [2.0, 2.1], "seed": [0, 0]}
    )
    assert seed_noise(same_seed) is None
