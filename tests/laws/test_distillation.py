"""The law of distillation: the paper's form, and the capacity gap."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import get_law

LAW = get_law("distillation")
THETA = np.array(list(LAW.published["busbridge2025"].coefficients.values()))
E, A, B, ALPHA, BETA, GAMMA, D1 = 1.220, 3355.0, 18186.0, 0.408, 0.431, 0.452, 1.315


def test_it_is_equation_8_of_the_paper() -> None:
    T, N, D = np.array([1.9, 2.3, 3.0]), np.array([3e8, 1e9, 5e9]), np.array([1e10, 1e11, 5e10])
    alone = E + (A * N**-ALPHA + B * D**-BETA) ** GAMMA
    lack = (2243 * N**-0.321 + 24181 * D**-0.637) ** 0.764
    wanted = T + T**-2.549 * (1 + (T / (alone * D1)) ** (1 / 0.0905)) ** (-522.6 * 0.0905) * lack
    np.testing.assert_allclose(LAW.value(THETA, L_T=T, N=N, D=D), wanted, rtol=1e-12)


def test_a_teacher_can_be_too_good_for_its_student() -> None:
    teacher = np.linspace(1.6, 3.0, 200)
    student = LAW.value(THETA, L_T=teacher, N=np.full(200, 1e9), D=np.full(200, 1e11))
    best = int(student.argmin())
    assert 0 < best < 199
    assert teacher[best] == pytest.approx(2.0, abs=0.2)


def test_a_hopeless_teacher_is_followed_and_not_surpassed() -> None:
    student = LAW.value(THETA, L_T=np.array([3.2]), N=np.array([5e9]), D=np.array([1e11]))
    assert student[0] == pytest.approx(3.2, abs=1e-6)
