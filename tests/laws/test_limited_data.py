"""Transfer, fine-tuning and filtering."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.laws import get_law


def test_endless_fine_tuning_data_leave_kaplans_law_of_size() -> None:
    law = get_law("transfer")
    Nc, alpha_N, *_ = law.examples
    loss = law.value(law.examples, N=np.array([1e9]), D_F=np.array([1e300]))
    assert loss[0] == pytest.approx((Nc / 1e9) ** alpha_N)


def test_the_data_term_of_transfer_is_kaplans_in_the_data_transferred() -> None:
    law, worth = get_law("transfer"), get_law("data-transferred")
    _, _, alpha_D, T, alpha, _ = law.examples
    k = 1.9e4
    N, D = np.array([1e300]), np.array([1e6])
    transferred = worth.value(np.array([k, alpha, 0.0]), N=N, D_F=D)
    theta = law.examples.copy()
    theta[5] = 0.0
    assert law.value(theta, N=N, D_F=D)[0] == pytest.approx(((T * k) / transferred[0]) ** alpha_D)


def test_closer_domains_need_fewer_data_of_the_target() -> None:
    law = get_law("data-transferred")
    text, code = (np.array(list(one.coefficients.values())) for one in law.published.values())
    at = {"N": np.array([1e8]), "D_F": np.array([1e6])}
    assert law.value(code, **at)[0] > law.value(text, **at)[0]


def test_fine_tuning_is_flat_below_what_pre_training_is_worth() -> None:
    law = get_law("rectified")
    B, D_l, beta, E = law.examples
    bend = D_l ** (1 / beta)
    loss = law.value(law.examples, D=np.array([1e-3 * bend, bend]))
    assert loss[0] == pytest.approx(E + B / D_l, rel=0.02)
    assert loss[1] - E == pytest.approx(B / D_l / 2)


def by_hand(a: float, d: float, b: float, tau: float, epochs: int, pool: float) -> float:
    y = a * pool**-b
    for j in range(2, epochs + 1):
        y *= (j / (j - 1)) ** (-b * 0.5 ** ((j - 1) / tau))
    return y + d


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_one_bucket_is_the_product_over_epochs(epochs: int) -> None:
    law, pool = get_law("filtering-1"), 3e7
    value = law.value(np.array([8.0, 0.1, 0.15, 4.0]), D=np.array([epochs * pool]), U=np.array([pool]))
    assert value[0] == pytest.approx(by_hand(8.0, 0.1, 0.15, 4.0, epochs, pool))


def test_equal_buckets_that_are_alike_halve_the_pace_of_repetition() -> None:
    # Theorem 1: p buckets have half-lives p times as long.
    mixed, alone = get_law("filtering"), get_law("filtering-1")
    D, U, half = np.array([2e8]), np.array([2e7]), np.array([0.5])
    together = mixed.value(np.array([8.0, 0.1, 0.15, 0.15, 4.0, 4.0]), D=D, U=U, s1=half, s2=half)
    assert together[0] == pytest.approx(alone.value(np.array([8.0, 0.1, 0.15, 8.0]), D=D, U=U)[0])


def test_a_bucket_without_a_share_has_no_say() -> None:
    law, at = get_law("filtering"), {"D": np.array([2e8]), "U": np.array([2e7])}
    shares = {"s1": np.ones(1), "s2": np.zeros(1)}
    one, other = (law.value(np.array([8.0, 0.1, 0.15, b, 4.0, 6.0]), **at, **shares)[0] for b in (0.1, 0.3))
    assert one == other


def test_good_data_lose_to_more_data_once_they_repeat_often() -> None:
    # The claim of the paper: which pool is best depends on the compute.
    law = get_law("filtering")
    theta = np.array([8.0, 0.1, 0.16, 0.15, 2.0, 2.0])
    D = np.array([1e7, 1e9])
    good = law.value(theta, D=D, U=np.full(2, 1e7), s1=np.ones(2), s2=np.zeros(2))
    both = law.value(theta, D=D, U=np.full(2, 2e7), s1=np.full(2, 0.5), s2=np.full(2, 0.5))
    assert good[0] < both[0]
    assert good[1] > both[1]


@pytest.mark.parametrize("number", [1, 3])
def test_the_gradient_holds_for_other_numbers_of_buckets(number: int) -> None:
    law = get_law(f"filtering-{number}")
    theta, x = law.examples, law.design(20)
    gradient = law.gradient(theta, **x)
    for index in range(len(theta)):
        step = theta.astype(complex)
        step[index] += 1e-30j
        # Complex numbers are outside the signature but inside the formula, and give exact derivatives.
        exact = np.asarray(law.value(step, **x)).imag / 1e-30  # type: ignore[arg-type]
        np.testing.assert_allclose(gradient[index], exact, rtol=1e-8, atol=1e-13)


def test_too_many_buckets_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 8"):
        get_law("filtering-9")
