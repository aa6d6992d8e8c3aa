"""Laws of precision: limits, the best precision for a budget, and when more data hurt."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law
from scalescope.laws.precision import optimal_precision
from scalescope.points import Array

GAMMAS = np.array([2.6745, 2.2102, 0.9578])


def published(law: str, name: str) -> Array:
    return np.array(list(get_law(law).published[name].coefficients.values()))


def test_without_end_of_bits_it_is_chinchilla() -> None:
    law, N, D = get_law("precision"), np.array([1e8]), np.array([1e10])
    many = np.array([500.0])
    loss = law.value(law.examples, N=N, D=D, P_weights=many, P_activations=many, P_cache=many)
    E, A, B, alpha, beta = law.examples[:5]
    wanted = get_law("chinchilla").value(np.array([E, A, B, alpha, beta]), N=N, D=D)
    assert loss == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("compute", [1e19, 1e24])
def test_no_other_shared_precision_is_better_at_any_budget(compute: float) -> None:
    law, theta = get_law("precision"), published("precision", "kumar2024")
    best = float(optimal_precision(GAMMAS))

    def lowest(P: float) -> float:
        N = np.geomspace(1e5, 1e14, 20_001)
        bits = np.full(len(N), P)
        D = compute / (6 / 16 * N * P)
        return float(law.value(theta, N=N, D=D, P_weights=bits, P_activations=bits, P_cache=bits).min())

    assert lowest(best) < min(lowest(0.98 * best), lowest(1.02 * best))


def test_the_printed_gammas_alone_give_half_of_the_bits_that_the_paper_states() -> None:
    # Section 4.3.2 states 7 to 8 bits; its fit has offsets of the bits that its main text leaves out.
    assert optimal_precision(GAMMAS) == pytest.approx(3.47, abs=0.01)


def test_the_best_precision_scales_with_what_the_parts_need_and_takes_batches() -> None:
    batch = np.stack([GAMMAS, 2 * GAMMAS], axis=1)
    one, two = optimal_precision(batch)
    assert two == pytest.approx(2 * one)
    assert one == pytest.approx(float(optimal_precision(GAMMAS)))


def test_past_some_token_count_training_on_makes_a_quantised_network_worse() -> None:
    D = np.geomspace(1e9, 1e14, 300)
    N, bits = np.full(300, 2.2e8), np.full(300, 3.0)
    trained = get_law("chinchilla").value(published("chinchilla", "epoch2024"), N=N, D=D)
    law = get_law("post-training-quantisation")
    served = trained + law.value(published(law.name, "kumar2024"), N=N, D=D, P=bits)
    worst_after = int(served.argmin())
    assert 0 < worst_after < 299
    assert (np.diff(trained) < 0).all()


def test_coarser_groups_cost_more_by_the_printed_power() -> None:
    law = get_law("quantisation-aware")
    theta = published(law.name, "chen2025-w4a4")
    fine, coarse = law.value(theta, N=np.full(2, 1e8), D=np.full(2, 1e10), G=np.array([16.0, 256.0]))
    assert coarse / fine == pytest.approx(2**0.7779)
