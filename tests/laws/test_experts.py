"""Routed networks: the saturated expert count and the two laws that use it."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law
from scalescope.laws.experts import saturated
from scalescope.laws.routed import cutoff_params, effective_params
from scalescope.points import Array

ROUTED, JOINT = get_law("routed"), get_law("joint-moe")


def published(law: str, name: str) -> Array:
    return np.array(list(get_law(law).published[name].coefficients.values()))


def test_the_expert_count_goes_from_its_start_to_its_most() -> None:
    count = saturated(np.array([1.0, 8.0, 64.0, 1e12]), np.array(2.0), np.array(300.0))
    assert count[0] == pytest.approx(2.0)
    assert (np.diff(count) > 0).all()
    assert count[-1] == pytest.approx(300.0, rel=1e-6)


def test_a_dense_network_is_its_own_effective_size() -> None:
    assert effective_params(ROUTED.examples, 1e9, 1.0) == pytest.approx(1e9)


def test_a_dense_network_of_the_effective_size_has_the_loss_of_the_routed_one() -> None:
    N, E = np.array([1e8, 1e9]), np.array([64.0, 8.0])
    dense = effective_params(ROUTED.examples, N, E)
    assert (dense > N).all()
    np.testing.assert_allclose(
        ROUTED.value(ROUTED.examples, N=dense, E=np.ones(2)), ROUTED.value(ROUTED.examples, N=N, E=E)
    )


def test_experts_help_below_the_cut_off_and_hurt_above() -> None:
    cutoff = float(cutoff_params(ROUTED.examples))
    few, many = (
        ROUTED.value(ROUTED.examples, N=cutoff * np.array([0.1, 1.0, 10.0]), E=np.full(3, E))
        for E in (8.0, 64.0)
    )
    assert many[0] < few[0]
    assert many[1] == pytest.approx(few[1])
    assert many[2] > few[2]


@pytest.mark.parametrize(
    ("name", "printed"), [("clark2022-sbase", 937e9), ("clark2022-rlr", 85e9), ("clark2022-hash", 83e9)]
)
def test_the_printed_cut_offs_are_within_the_rounding_of_the_printed_coefficients(
    name: str, printed: float
) -> None:
    # Three digits of b and c leave the cut-off open by a factor of ten to thirty.
    _, b, c, *_ = published("routed", name)
    half = 0.0005
    assert 10 ** ((-b - half) / (c + half)) < printed < 10 ** ((-b + half) / (c - half))


@pytest.mark.parametrize("name", ["ludziejewski2025", "ludziejewski2025-transcribed"])
def test_loss_falls_with_active_size_and_data_under_either_choice_of_signs(name: str) -> None:
    theta, E = published("joint-moe", name), np.array([1.0, 8.0, 64.0])
    at = JOINT.value(theta, N=np.full(3, 1e9), D=np.full(3, 2e10), E=E)
    assert (JOINT.value(theta, N=np.full(3, 2e9), D=np.full(3, 2e10), E=E) < at).all()
    assert (JOINT.value(theta, N=np.full(3, 1e9), D=np.full(3, 4e10), E=E) < at).all()


def test_only_reversed_signs_let_experts_lower_the_loss() -> None:
    N, ratio = (axis.ravel() for axis in np.meshgrid([1e8, 3e8, 1e9], [10.0, 20.0, 100.0]))
    change = {
        name: JOINT.value(published("joint-moe", name), N=N, D=ratio * N, E=np.full(9, 8.0))
        - JOINT.value(published("joint-moe", name), N=N, D=ratio * N, E=np.ones(9))
        for name in JOINT.published
    }
    assert (change["ludziejewski2025"] < 0).all()
    assert (change["ludziejewski2025-transcribed"] > 0).all()


def best_active_size(name: str, E: float, C: float = 1e21) -> float:
    N = np.geomspace(1e7, 1e12, 2000)
    loss = JOINT.value(published("joint-moe", name), N=N, D=C / (6 * N), E=np.full(2000, E))
    return float(N[np.argmin(loss)])


def test_only_reversed_signs_make_the_best_active_size_fall_with_experts() -> None:
    assert best_active_size("ludziejewski2025", 32.0) < best_active_size("ludziejewski2025", 1.0)
    transcribed = "ludziejewski2025-transcribed"
    assert best_active_size(transcribed, 32.0) > best_active_size(transcribed, 1.0)
