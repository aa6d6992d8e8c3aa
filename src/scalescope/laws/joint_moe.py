r"""Loss from active size, data and experts, Ludziejewski et al. (2025).

.. math:: L(N, D, E) = a \hat E^{\delta} N^{\alpha + \gamma \ln \hat E}
          + b \hat E^{\omega} D^{\beta + \zeta \ln \hat E} + c

with the saturated expert count :math:`\hat E` of `scalescope.laws.experts`. N counts active parameters, and
exponents carry their sign. Source: https://arxiv.org/abs/2502.05172.

The signs of delta, gamma, omega and zeta are in doubt. As transcribed (0.2285, -0.0098, -0.5529, 0.0259) loss
falls with size and data, but rises with experts at every size and token count, and the best active size grows
with experts; the paper reports the opposite of both. All four reversed, which is the same law with
:math:`1/\hat E` for :math:`\hat E`, experts lower the loss by up to 0.1 nats and the best active size falls
with them, as reported. No other choice of signs gives both in that measure.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.experts import saturated, saturated_slopes
from scalescope.laws.terms import stacked


def _published(of_experts: tuple[float, float, float, float], note: str) -> Published:
    delta, gamma, omega, zeta = of_experts
    return Published(
        coefficients={
            "a": 35.91,
            "delta": delta,
            "alpha": -0.1889,
            "gamma": gamma,
            "b": 35.98,
            "omega": omega,
            "beta": -0.1775,
            "zeta": zeta,
            "c": 1.3637,
            "E_start": 2.07,
            "E_max": 290.45,
        },
        source="https://arxiv.org/abs/2502.05172",
        count="params_active",
        note=note,
        ranges={"N": (1e7, 2.7e9), "E": (1.0, 32.0)},
    )


@register
class JointMoe(Law):
    """Hoffmann's form with scales and exponents that move with the number of experts."""

    name = "joint-moe"
    title = "Loss from active size, data and experts, Ludziejewski et al. 2025"
    family = "sparse"
    formula = "L = a Ehat^delta N^(alpha + gamma ln Ehat) + b Ehat^omega D^(beta + zeta ln Ehat) + c"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=-1, meaning="active parameters"),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=-1),
        E=Variable(column="experts", low=1.0, high=64.0),
    )
    coefficients = named(
        a=Coefficient(meaning="scale of what a finite size costs", example=35.91, positive=True),
        delta=Coefficient(
            meaning="expert exponent of that cost", example=-0.2285, low=-5.0, high=5.0, start=(-0.6, 0.2)
        ),
        alpha=Coefficient(
            meaning="size exponent, with its sign", example=-0.1889, low=-3.0, high=3.0, start=(-0.4, -0.1)
        ),
        gamma=Coefficient(
            meaning="what experts add to it", example=0.0098, low=-1.0, high=1.0, start=(-0.02, 0.03)
        ),
        b=Coefficient(meaning="scale of what finite data cost", example=35.98, positive=True),
        omega=Coefficient(
            meaning="expert exponent of that cost", example=0.5529, low=-5.0, high=5.0, start=(-0.1, 1.0)
        ),
        beta=Coefficient(
            meaning="data exponent, with its sign", example=-0.1775, low=-3.0, high=3.0, start=(-0.4, -0.1)
        ),
        zeta=Coefficient(
            meaning="what experts add to it", example=-0.0259, low=-1.0, high=1.0, start=(-0.04, 0.02)
        ),
        c=Coefficient(meaning="irreducible loss", example=1.3637, low=0.0, high=20.0),
        E_start=Coefficient(
            meaning="count that a dense network stands for", example=2.07, positive=True, low=0.1, high=20.0
        ),
        E_max=Coefficient(
            meaning="count that no number of experts exceeds",
            example=290.45,
            positive=True,
            low=25.0,
            high=1e5,
        ),
    )
    linear = ("a", "b", "c")
    count = "params_active"
    reference = "https://arxiv.org/abs/2502.05172"
    caveats = (
        "N counts active parameters; the memory that the experts need is not in it.",
        "The signs of four published coefficients are in doubt; see the notes of the published sets.",
        "E_start and E_max are hardly told apart from the rest by few expert counts; hold them fixed then.",
        "Each size and expert count needs its own learning rate: exp(8.39 - 0.81 ln N - 0.25 ln E).",
    )
    published = MappingProxyType(
        {
            "ludziejewski2025": _published(
                (-0.2285, 0.0098, 0.5529, -0.0259),
                "delta, gamma, omega and zeta with their signs reversed: so experts lower the loss.",
            ),
            "ludziejewski2025-transcribed": _published(
                (0.2285, -0.0098, -0.5529, 0.0259),
                "As transcribed: experts raise the loss at every size, against what the paper reports.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        a, delta, alpha, gamma, b, omega, beta, zeta, c, start, most = theta
        log_E = np.log(saturated(x["E"], start, most))
        size = a * np.exp(delta * log_E + (alpha + gamma * log_E) * np.log(x["N"]))
        data = b * np.exp(omega * log_E + (beta + zeta * log_E) * np.log(x["D"]))
        return np.asarray(size + data + c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a, delta, alpha, gamma, b, omega, beta, zeta, _, start, most = theta
        log_E, log_N, log_D = np.log(saturated(x["E"], start, most)), np.log(x["N"]), np.log(x["D"])
        of_size = np.exp(delta * log_E + (alpha + gamma * log_E) * log_N)
        of_data = np.exp(omega * log_E + (beta + zeta * log_E) * log_D)
        size, data = a * of_size, b * of_data
        by_start, by_most = saturated_slopes(x["E"], start, most)
        turn = size * (delta + gamma * log_N) + data * (omega + zeta * log_D)
        return stacked(
            of_size,
            size * log_E,
            size * log_N,
            size * log_E * log_N,
            of_data,
            data * log_E,
            data * log_D,
            data * log_E * log_D,
            np.ones_like(size + data),
            turn * by_start,
            turn * by_most,
        )
