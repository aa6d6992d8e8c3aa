"""The laws of one curve: what each is made for, limits, and the published fit of the broken law."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.extrapolation.forms import FORMS
from scalescope.laws import get_law

ADDITION = Path(__file__).parents[2] / "../shared/laws/data/bnsl-repo/four_digit_addition.csv"
X = np.geomspace(1, 1e4, 50)


def test_a_power_law_with_a_negative_scale_rises_to_its_constant():
    y = get_law("power-law-offset").value(np.array([0.9, -0.5, -0.4]), x=X)
    assert (np.diff(y) > 0).all()
    assert y[-1] == pytest.approx(0.9, abs=0.02)


def test_m2_without_a_floor_is_m1():
    two = get_law("m2").value(np.array([0.0, 3.0, -0.3]), x=X)
    np.testing.assert_allclose(two, get_law("m1").value(np.array([3.0, -0.3]), x=X))


def test_m3_follows_a_power_law_before_its_bend_and_is_constant_behind_it():
    law, theta = get_law("m3"), np.array([2.0, 0.1, -0.5])
    before, behind = law.value(theta, x=np.array([1e-3, 1e5]))
    assert before == pytest.approx(2.0 * 1e-3**-0.5, rel=1e-3)
    assert behind == pytest.approx(2.0 * 0.1**0.5, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.02, 0.5, 1.0, 4.0, 25.0])
def test_m4_solves_its_equation_wherever_it_is_asked(alpha):
    floor, top, beta, c = 0.1, 0.9, 3.0, -0.7
    x = np.geomspace(1e-2, 1e3, 40)
    y = get_law("m4").value(np.array([floor, top, alpha, beta, c]), x=x)
    held = (y - floor > 1e-9) & (top - y > 1e-9)
    assert held.sum() > 5
    ratio = (y - floor)[held] / (top - y)[held] ** alpha
    np.testing.assert_allclose(ratio, beta * x[held] ** c, rtol=1e-5)


def test_m4_with_levels_the_wrong_way_round_has_no_value():
    with np.errstate(invalid="ignore"):
        y = get_law("m4").value(np.array([0.9, 0.1, 0.5, 1.0, -0.5]), x=X)
    assert np.isnan(y).all()


def test_the_exponents_of_the_broken_law_add_up_behind_its_breaks():
    law = get_law("broken-2")
    theta = np.array([0.0, 2.0, 0.1, 0.3, 1e2, 0.1, -0.2, 1e5, 0.1])
    x = np.array([1e-1, 1.0, 1e3, 1e4, 1e7, 1e8])
    log_y = np.log10(law.value(theta, x=x))
    assert np.diff(log_y)[::2] == pytest.approx([-0.1, -0.4, -0.2], abs=1e-3)


@pytest.mark.parametrize("n_breaks", [1, 2, 3, 9])
def test_the_broken_law_has_three_coefficients_a_break_and_three_more(n_breaks):
    law = get_law(f"broken-{n_breaks}")
    assert len(law.coefficients) == 3 * n_breaks + 3
    y = law.value(law.examples, x=X)
    starts, (low, high) = law.starts(y, x=X), law.bounds()
    assert np.isfinite(starts).all()
    assert ((low <= starts) & (starts <= high)).all()


def test_more_breaks_than_nine_are_refused():
    with pytest.raises(InputError):
        get_law("broken-10")


@pytest.mark.parametrize("shape", FORMS)
def test_the_fast_form_equals_the_law_at_its_coefficients(shape):
    form, u = FORMS[shape](), np.linspace(-6, 1, 30)
    phi = {
        "Power": [0.2, -0.3],
        "Floor": [0.1, -0.4, -1.0],
        "Ceiling": [0.3, 0.02, -0.4],
        "Bend": [0.2, -0.4, 1.0],
        "Levels": [-1.5, 0.2, -0.5, 0.3, -0.6],
        "Break": [-1.5, 0.1, 0.2, 0.4, -2.0, -0.5],
    }[shape]
    end, unit = 3e5, 7.0
    coefficients = form.coefficients(np.array(phi), end=end, unit=unit)
    y = get_law(form.name).value(np.array(list(coefficients.values())), x=end * np.exp(u))
    log_level, _ = form.curve(np.array([phi]), u[None])
    np.testing.assert_allclose(unit * np.exp(log_level[0]), y, rtol=1e-9)


@pytest.mark.parametrize("shape", FORMS)
def test_the_slopes_of_the_fast_form_are_its_derivatives(shape):
    form, u = FORMS[shape](), np.linspace(-4, 1, 20)[None]
    middle = np.array([0.1, 0.3, -0.4, 0.5, -0.6, -0.7])[: form.k]
    if shape == "Ceiling":
        middle = np.array([0.1, 0.05, -0.4])
    step = 1e-6 * np.eye(form.k)
    exact = np.array([part[0] for part in form.curve(middle[None], u)[1]])
    ahead, back = form.curve(middle + step, u)[0], form.curve(middle - step, u)[0]
    np.testing.assert_allclose(exact, (ahead - back) / 2e-6, atol=1e-6)


@pytest.mark.shared
def test_the_published_fit_of_four_digit_addition_is_the_optimum():
    """The fit is of log(y + 1); the width 1.05919 that is printed stands for 0.05919, one less."""
    if not ADDITION.exists():
        pytest.skip("the published tables are not here")
    with ADDITION.open() as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    x, y, training = rows.T
    law, used = get_law("broken"), training > 0
    published = np.array([1.41389, 2.27727, 0.05508, 5.66291, 612.58, 0.05919])
    objective = ((np.log(law.value(published, x=x)) - np.log1p(y))[used] ** 2).mean()
    from scipy.optimize import least_squares

    def residuals(theta):
        return np.log(law.value(theta, x=x[used])) - np.log1p(y[used])

    def jacobian(theta):
        return (law.gradient(theta, x=x[used]) / law.value(theta, x=x[used])).T

    found = least_squares(residuals, published, jac=jacobian, x_scale=np.abs(published), xtol=1e-12)
    assert (found.fun**2).mean() <= objective
    np.testing.assert_allclose(found.x, published, rtol=2e-4)
    rmsle = np.log(law.value(found.x, x=x) - 1) - np.log(y)
    assert np.sqrt((rmsle[used] ** 2).mean()) == pytest.approx(0.000598, abs=1e-6)
    assert np.sqrt((rmsle[~used] ** 2).mean()) == pytest.approx(0.01092, abs=1e-5)
