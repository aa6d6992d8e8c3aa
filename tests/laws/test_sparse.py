"""Granularity, sparsity, pruning and leverage: what their papers say of the published coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law
from scalescope.points import Array


def published(law: str, name: str) -> Array:
    return np.array(list(get_law(law).published[name].coefficients.values()))


def test_fine_experts_beat_the_dense_network_of_the_same_active_size() -> None:
    # N counts all experts: 64 times the feed-forward part is 43 times the whole (8 E + 4 against 12 parts).
    law, active, D = get_law("granularity"), np.array([1e8, 1e9]), np.array([2e9, 2e10])
    fine = law.value(
        published("granularity", "krajewski2024"), N=active * (8 * 64 + 4) / 12, D=D, G=np.array([8.0, 8.0])
    )
    dense = law.value(published("granularity", "krajewski2024-dense"), N=active, D=D, G=np.ones(2))
    assert (fine < dense).all()


def test_granularity_means_nothing_to_dense_networks() -> None:
    law, theta = get_law("granularity"), published("granularity", "krajewski2024-dense")
    at = {"N": np.full(2, 1e9), "D": np.full(2, 2e10)}
    coarse, fine = law.value(theta, **at, G=np.array([1.0, 16.0]))
    assert coarse == fine


def test_the_best_sparsity_rises_with_total_size() -> None:
    law, S = get_law("sparsity"), np.linspace(0.0, 0.98, 99)
    best = [
        S[np.argmin(law.value(law.examples, N=np.full(99, N), D=np.full(99, 1e11), S=S))]
        for N in (1e9, 1e10, 1e11, 1e12)
    ]
    assert best[0] == 0.0
    assert (np.diff(best) > 0).all()


@pytest.mark.parametrize("name", ["frantar2023-vit", "frantar2023-t5"])
def test_of_equally_many_weights_that_are_not_zero_the_sparse_ones_are_better(name: str) -> None:
    law = get_law("pruned")
    dense, sparse = law.value(
        published("pruned", name), N=np.full(2, 1e7), D=np.full(2, 1e10), S=np.array([0.0, 0.75])
    )
    assert sparse < dense


def test_a_term_of_the_pruned_law_is_one_nat_at_its_data_scale() -> None:
    law = get_law("pruned")
    theta = published("pruned", "frantar2023-t5")
    at, endless = law.value(theta, N=np.full(2, 1e7), D=np.array([6.90e8, 1e300]), S=np.zeros(2))
    assert at - endless == pytest.approx(1.0)


def test_leverage_is_near_one_for_a_dense_network() -> None:
    law = get_law("efficiency-leverage")
    leverage = law.value(law.examples, S=np.zeros(2), G=np.array([1.0, 8.0]), C=np.array([1e20, 1e22]))
    np.testing.assert_allclose(leverage, 1.0, atol=0.02)


def test_leverage_and_best_granularity_are_those_the_paper_reports() -> None:
    # Its abstract: over 7 times, for a network with about 3% of its experts active; best granularity 8 to 12.
    law, G = get_law("efficiency-leverage"), np.geomspace(1, 32, 200)
    leverage = law.value(law.examples, S=np.full(200, 1 - 0.031), G=G, C=np.full(200, 1e22))
    assert 7.0 < np.interp(12.0, G, leverage) < 8.0
    assert 8.0 < G[np.argmax(leverage)] < 12.0
