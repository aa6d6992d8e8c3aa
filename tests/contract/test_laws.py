"""What every registered law must satisfy; a new law is covered the moment its file exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import FAMILIES, LAWS, Law
from scalescope.points import COLUMNS, Array

pytestmark = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def data_of(law: Law) -> tuple[dict[str, Array], Array]:
    """The law's own design, and the targets that its example coefficients give there."""
    x = law.design()
    return x, law.value(law.examples, **x)


def complex_value(law: Law, theta: Any, x: dict[str, Array]) -> Any:
    # Complex numbers are outside the signature but inside every formula, and give exact derivatives.
    return np.asarray(law.value(theta, **x))


def test_the_gradient_equals_a_complex_step(law: Law) -> None:
    theta, (x, _) = law.examples, data_of(law)
    gradient = law.gradient(theta, **x)
    for index in range(len(theta)):
        size = abs(theta[index]) or 1.0
        step = theta.astype(complex)
        step[index] += 1e-30j * size
        exact = complex_value(law, step, x).imag / (1e-30 * size)
        np.testing.assert_allclose(
            gradient[index], exact, rtol=1e-8, atol=1e-13 * (1 + np.abs(exact).max(initial=0))
        )


def test_batches_of_coefficients_broadcast_against_rows(law: Law) -> None:
    theta, (x, _) = law.examples, data_of(law)
    low, high = law.bounds()
    batch = np.stack([theta, np.clip(1.05 * theta, low, high)])
    n = len(next(iter(x.values())))
    together, slopes = law.value(batch.T[:, :, None], **x), law.gradient(batch.T[:, :, None], **x)
    assert together.shape == (2, n)
    assert slopes.shape == (len(theta), 2, n)
    for index, one in enumerate(batch):
        np.testing.assert_allclose(together[index], law.value(one, **x), rtol=1e-12)
        np.testing.assert_allclose(slopes[:, index], law.gradient(one, **x), rtol=1e-9, atol=1e-12)


def test_the_example_gives_finite_varied_targets(law: Law) -> None:
    _, target = data_of(law)
    assert np.isfinite(target).all()
    assert np.ptp(target) > 0
    if law.scale == "log":
        assert (target > 0).all()


def test_the_coefficients_that_made_the_data_come_back(law: Law) -> None:
    x, target = data_of(law)
    optimum = find_optimum(Objective(law=law, x=x), target)
    np.testing.assert_allclose(law.value(optimum.theta, **x), target, rtol=1e-5, atol=1e-6 * np.ptp(target))
    np.testing.assert_allclose(optimum.theta, law.examples, rtol=1e-3, atol=1e-6)


def test_what_is_called_linear_is(law: Law) -> None:
    x, _ = data_of(law)
    places = list(law.place(*law.linear))
    first, second = law.examples.copy(), law.examples.copy()
    second[places] *= 3.0
    middle = (first + second) / 2
    mean = (law.value(first, **x) + law.value(second, **x)) / 2
    np.testing.assert_allclose(law.value(middle, **x), mean, rtol=1e-10, atol=1e-12)


def test_starts_are_finite_and_inside_the_bounds(law: Law) -> None:
    x, target = data_of(law)
    starts, (low, high) = law.starts(target, **x), law.bounds()
    assert starts.ndim == 2
    assert starts.shape[1] == len(law.coefficients)
    assert len(starts) > 0
    assert np.isfinite(starts).all()
    assert ((low <= starts) & (starts <= high)).all()
    positive = [one.positive for one in law.coefficients.values()]
    assert (starts[:, positive] > 0).all()


def test_examples_are_inside_the_bounds(law: Law) -> None:
    low, high = law.bounds()
    assert ((low <= law.examples) & (law.examples <= high)).all()


def test_it_says_what_it_is(law: Law) -> None:
    assert law.family in FAMILIES
    assert law.title and law.formula and law.reference.startswith("http")
    assert all(one.meaning for one in law.coefficients.values())
    for name, variable in law.variables.items():
        assert variable.column in COLUMNS, f"{name} needs a column of points.COLUMNS, not {variable.column}"
        assert variable.low < variable.high
    assert law.target in COLUMNS
    assert type(law).__doc__


def test_published_coefficients_are_complete_sourced_and_inside_the_bounds(law: Law) -> None:
    low, high = law.bounds()
    for published in law.published.values():
        assert tuple(published.coefficients) == tuple(law.coefficients)
        values = np.array(list(published.coefficients.values()))
        assert ((low <= values) & (values <= high)).all()
        assert published.source.startswith("http")
        assert set(published.ranges) <= {*law.variables, "N", "D", "C"}


def test_published_coefficients_give_what_their_source_prints(law: Law) -> None:
    for name, published in law.published.items():
        theta = np.array(list(published.coefficients.values()))
        for one in published.printed:
            x = {letter: np.array([value]) for letter, value in one.x.items()}
            assert law.value(theta, **x)[0] == pytest.approx(one.value, rel=one.rtol), name


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_promised_trends_hold(law: Law, data: st.DataObject) -> None:
    promised = [name for name, one in law.variables.items() if one.trend]
    if not promised:
        return
    name = data.draw(st.sampled_from(promised))
    x, _ = data_of(law)
    row = data.draw(st.integers(0, len(next(iter(x.values()))) - 1))
    point = {letter: column[[row]] for letter, column in x.items()}
    share = data.draw(st.floats(0.01, 1.0))
    variable = law.variables[name]
    more = {**point, name: point[name] + share * (variable.high - point[name])}
    change = law.value(law.examples, **more)[0] - law.value(law.examples, **point)[0]
    assert change * variable.trend >= -1e-12 * abs(law.value(law.examples, **point)[0])
