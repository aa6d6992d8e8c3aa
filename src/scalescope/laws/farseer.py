r"""The surface of Li et al. (2025), "Farseer": the data exponent itself depends on the size.

.. math:: L(N, D) = e^{u_3(N)} + e^{u_2(N)} D^{-\exp(u_1(N))}, \quad u_i(N) = a_i N^{p_i} + b_i

In that form scale, offset and power of each :math:`u_i` all but cancel. Here each is written by what it is at
:math:`N_0 = 10^9` parameters,

.. math:: u_i(N) = b_i + a_i \frac{(N/N_0)^{p_i} - 1}{p_i}

so that :math:`b_i` is its value there, :math:`a_i` its slope per e-fold of size and :math:`p_i` its bend;
:math:`p_i = 0` is linear in :math:`\ln N`. The curves are the same; `paper_coefficients` translates.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register

REFERENCE_SIZE: Final = 1e9
"""Parameters at which b and a are value and slope."""


@register
class Farseer(Law):
    """A floor that falls with size, and a power law in data whose scale and exponent change with size."""

    name = "farseer"
    title = "Loss from size and data with an exponent that depends on size, Li et al. 2025"
    family = "size-and-data"
    formula = "L(N, D) = exp(u3) + exp(u2)/D^exp(u1),  ui = bi + ai ((N/1e9)^pi - 1)/pi"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e11),
        D=Variable(column="tokens", low=1e8, high=1e13, trend=-1),
    )
    coefficients = named(
        b1=Coefficient(meaning="log of the data exponent at 1e9 parameters", example=-1.1, low=-5, high=1.5),
        a1=Coefficient(meaning="its slope in ln N", example=0.06, low=-2, high=2),
        p1=Coefficient(meaning="its bend", example=0.10, low=-2, high=2),
        b2=Coefficient(meaning="log scale of what finite data cost, there", example=6.5, low=-10, high=60),
        a2=Coefficient(meaning="its slope in ln N", example=0.35, low=-5, high=10),
        p2=Coefficient(meaning="its bend", example=0.15, low=-2, high=2),
        b3=Coefficient(meaning="log loss on endless data, there", example=0.65, low=-5, high=4),
        a3=Coefficient(meaning="its slope in ln N", example=-0.06, low=-2, high=1),
        p3=Coefficient(meaning="its bend", example=-0.15, low=-2, high=2),
    )
    reference = "https://arxiv.org/abs/2506.10972"
    caveats = (
        "Nine coefficients need a grid of many sizes by many token counts.",
        "Nothing holds it to fall with size outside the runs: look at the sign of a3 and at far forecasts.",
        "No coefficients are shipped: those of the paper could not be checked.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        log_N, log_D = np.log(x["N"] / REFERENCE_SIZE), np.log(x["D"])
        u1, u2, u3 = (_curve(theta[at : at + 3], log_N) for at in (0, 3, 6))
        return np.asarray(np.exp(u3) + np.exp(u2 - np.exp(u1) * log_D))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        return self.value_and_gradient(theta, **x)[1]

    def value_and_gradient(self, theta: Array, **x: Array) -> tuple[Array, Array]:
        """Both at once: the curves in size and their exponentials are shared."""
        log_N, log_D = np.log(x["N"] / REFERENCE_SIZE), np.log(x["D"])
        bends = [theta[at + 2] * log_N for at in (0, 3, 6)]
        shapes = [_relative(bend) for bend in bends]
        u1, u2, u3 = (
            theta[at] + theta[at + 1] * log_N * shape for at, shape in zip((0, 3, 6), shapes, strict=True)
        )
        exponent, floor = np.exp(u1), np.exp(u3)
        data = np.exp(u2 - exponent * log_D)
        parts = []
        for at, bend, shape, slope in zip(
            (1, 4, 7), bends, shapes, (-data * exponent * log_D, data, floor), strict=True
        ):
            along = slope * log_N
            parts += [slope, along * shape, along * theta[at] * log_N * _relative_slope(bend)]
        return np.asarray(floor + data), np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """A floor, exponents, slopes and bends on a grid; data cost what the floor leaves at the median."""
        log_N = np.log(np.median(x["N"]) / REFERENCE_SIZE)
        log_D = np.log(np.median(x["D"]))
        rows = []
        for share, exponent, a3, a1, p in product(
            (0.5, 0.9), (0.2, 0.4), (-0.1, -0.02), (0.0, 0.05), (-0.1, 0.1)
        ):
            b1, floor = np.log(exponent), share * target.min()
            there = np.exp(b1 + a1 * log_N)
            cost = max(float(np.median(target)) - floor, 0.05 * floor)
            a2 = a1 * exponent * log_D
            rows.append((b1, a1, p, np.log(cost) + there * log_D - a2 * log_N, a2, p, np.log(floor), a3, -p))
        low, high = self.bounds()
        return np.asarray(np.clip(np.array(rows), low, high))


def paper_coefficients(theta: Array) -> Array:
    """Return a, b and the power of each of the paper's three u_i = a N^p + b, first axis, u1 first.

    The powers of `theta` must not be zero: the paper's form has no plain power law.
    """
    parts: list[Array] = []
    for at in (0, 3, 6):
        b, a, p = theta[at : at + 3]
        parts += [a / p * REFERENCE_SIZE**-p, b - a / p, p]
    return np.stack(np.broadcast_arrays(*parts))


def _curve(one: Array, log_N: Array) -> Array:
    """u(N) from its value, slope and bend."""
    b, a, p = one
    return np.asarray(b + a * log_N * _relative(p * log_N))


def _relative(z: Array) -> Array:
    """(e^z - 1)/z, by its series near zero."""
    small = np.abs(z) < 1e-2
    away = np.where(small, 1.0, z)
    out = np.asarray(np.expm1(away) / away)
    if small.any():
        near = z[small]
        out[small] = 1 + near / 2 * (1 + near / 3 * (1 + near / 4 * (1 + near / 5 * (1 + near / 6))))
    return out


def _relative_slope(z: Array) -> Array:
    """Derivative of `_relative`, by its series near zero."""
    small = np.abs(z) < 1e-2
    away = np.where(small, 1.0, z)
    grown = np.expm1(away)
    out = np.asarray((away * (grown + 1) - grown) / away**2)
    if small.any():
        near = z[small]
        out[small] = 1 / 2 + near * (1 / 3 + near * (1 / 8 + near * (1 / 30 + near * (1 / 144 + near / 840))))
    return out
