"""Laws of data mixtures: conventions, numbers of domains, edges of the simplex."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import Law, get_law
from scalescope.laws.simplex import mixtures
from scalescope.points import COLUMNS

SIZED = ["data-mixing-2", "data-mixing-8", "mixture-additive-2", "mixture-additive-5", "mixture-joint-3"]


@pytest.fixture(params=SIZED)
def law(request: pytest.FixtureRequest) -> Law:
    return get_law(request.param)


def test_a_sized_law_keeps_the_name_it_is_found_by(law: Law) -> None:
    assert get_law(law.name).coefficients == law.coefficients
    assert all(one.column in COLUMNS for one in law.variables.values())


def test_the_gradient_of_a_sized_law_equals_a_complex_step(law: Law) -> None:
    theta, x = law.examples, law.design(24)
    gradient = law.gradient(theta, **x)
    for index in range(len(theta)):
        step = theta.astype(complex)
        step[index] += 1e-30j
        # Complex numbers are outside the signature but inside the formula, and give exact derivatives.
        exact = np.asarray(law.value(step, **x)).imag / 1e-30  # type: ignore[arg-type]
        np.testing.assert_allclose(gradient[index], exact, rtol=1e-8, atol=1e-13 * np.abs(exact).max())


def test_a_domain_without_any_share_has_a_finite_gradient(law: Law) -> None:
    x = {name: column[:1].copy() for name, column in law.design(24).items()}
    shares = [name for name, one in law.variables.items() if one.column.startswith("share_")]
    for name in shares:
        x[name][:] = 0.0
    x[shares[0]][:] = 1.0
    assert np.isfinite(law.gradient(law.examples, **x)).all()


@pytest.mark.parametrize("name", ["data-mixing-9", "data-mixing-1", "mixture-additive-9", "mixture-joint-1"])
def test_a_number_of_domains_that_no_table_holds_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="2 to 8 domains"):
        get_law(name)


def test_a_default_number_of_domains_is_the_law_itself() -> None:
    assert get_law("data-mixing-5").name == "data-mixing"


def test_mixtures_sum_to_one_and_differ() -> None:
    shares = mixtures(50, 4)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    assert (shares > 0).all()
    assert (shares.max(axis=1) > 0.6).all()


def test_the_factor_of_the_paper_is_part_of_every_exponent() -> None:
    law = get_law("data-mixing-3")
    shares = mixtures(20, 3)
    factor, t = 1.7, np.array([0.4, -0.3, 0.1])
    ours = law.value(np.array([2.0, *(t + np.log(factor))]), r1=shares[0], r2=shares[1], r3=shares[2])
    np.testing.assert_allclose(ours, 2.0 + factor * np.exp(t @ shares))


def test_a_network_on_one_domain_alone_is_above_the_floor_by_the_exponential_of_its_coefficient() -> None:
    law = get_law("data-mixing-2")
    loss = law.value(np.array([2.0, -0.5, 0.3]), r1=np.array([1.0]), r2=np.array([0.0]))
    assert loss[0] == pytest.approx(2.0 + np.exp(-0.5))


def test_two_domains_are_recovered_from_noise_free_mixtures() -> None:
    law = get_law("data-mixing-2")
    x, truth = law.design(16), np.array([1.4, -3.0, 0.2])
    np.testing.assert_allclose(
        find_optimum(Objective(law=law, x=x), law.value(truth, **x)).theta, truth, rtol=1e-3
    )


def test_the_joint_law_is_the_additive_one_where_domains_have_equal_scales() -> None:
    joint, additive = get_law("mixture-joint"), get_law("mixture-additive-2")
    x = additive.design(20)
    E, A, B, alpha, beta, *shares = additive.examples
    theta = np.array([E, alpha, beta, 0.7, 1.3, A, A, B, B, *shares])
    np.testing.assert_allclose(joint.value(theta, **x), additive.value(additive.examples, **x))


def test_the_scales_of_the_joint_law_are_those_of_each_domain_alone() -> None:
    law = get_law("mixture-joint")
    theta = law.examples
    E, alpha, beta, *_ = theta
    A, B, C = (theta[law.place(name)[0]] for name in ("A_2", "B_2", "C_2"))
    one = {"h1": np.zeros(1), "h2": np.ones(1), "N": np.array([1e8]), "D": np.array([1e10])}
    assert law.value(theta, **one)[0] == pytest.approx(E + 1 / C + A * 1e8**-alpha + B * 1e10**-beta)


def test_one_modality_alone_is_the_law_of_hoffmann() -> None:
    law, N, D = get_law("mixed-modal"), np.array([1e8, 1e9]), np.array([1e10, 1e11])
    chinchilla = get_law("chinchilla")
    first = law.value(law.examples, N=N, D=D, r=np.ones(2))
    second = law.value(law.examples, N=N, D=D, r=np.zeros(2))
    np.testing.assert_allclose(first, chinchilla.value(law.examples[:5], N=N, D=D))
    np.testing.assert_allclose(second, chinchilla.value(law.examples[5:10], N=N, D=D))


def test_both_modalities_at_scale_are_their_mean_less_what_they_teach_each_other() -> None:
    law, huge = get_law("mixed-modal"), np.array([1e300])
    E_1, E_2, C = (law.examples[law.place(name)[0]] for name in ("E_1", "E_2", "C"))
    mixed = law.value(law.examples, N=huge, D=huge, r=np.array([0.5]))
    assert mixed[0] == pytest.approx((E_1 + E_2) / 2 - C)


def test_a_share_of_zero_leaves_continued_pre_training_finite() -> None:
    law = get_law("domain-continual")
    at = {"N": np.array([1e9]), "D": np.array([1e10]), "r": np.array([0.0])}
    assert np.isfinite(law.value(law.examples, **at)).all()
    assert np.isfinite(law.gradient(law.examples, **at)).all()
