r"""The family that joins the laws of Kaplan et al. (2020) and Hoffmann et al. (2022) by one exponent.

.. math:: L(N, D) = E + \left[(A N^{-\alpha})^{1/q} + (B D^{-\beta})^{1/q}\right]^q

With :math:`q = 1` it is `chinchilla`. With :math:`E = 0` and :math:`q = \alpha_D` it is `kaplan`, with
:math:`A = N_c^{\alpha_N}`, :math:`B = D_c^{\alpha_D}`, :math:`\alpha = \alpha_N`, :math:`\beta = \alpha_D`.
The supervised law of Busbridge et al. (2025), :math:`E + (A' N^{-\alpha'} + B' D^{-\beta'})^{\gamma}`, has
:math:`q = \gamma`, :math:`A = A'^{\gamma}`, :math:`\alpha = \gamma \alpha'` and so on.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class Nested(Law):
    """Irreducible loss plus a sum of powers of what size and data cost alone; q says how they join."""

    name = "nested"
    title = "Loss from size and data: Kaplan, Hoffmann and Busbridge in one family"
    family = "size-and-data"
    formula = "L(N, D) = E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q"
    variables = named(
        N=Variable(column="params", low=1e5, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e6, high=1e12, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.5, low=0.0, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs alone", example=200.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost alone", example=500.0, positive=True),
        alpha=Coefficient(meaning="size exponent alone", example=0.3, positive=True, low=0.005, high=3.0),
        beta=Coefficient(meaning="data exponent alone", example=0.28, positive=True, low=0.005, high=3.0),
        q=Coefficient(
            meaning="how the costs join: 1 adds them, towards 0 the larger one alone counts",
            example=0.6,
            positive=True,
            low=0.03,
            high=3.0,
        ),
    )
    reference = "https://arxiv.org/abs/2502.08606, eq. 8; https://arxiv.org/abs/2001.08361, eq. 1.5"
    caveats = (
        "q is settled only by runs where both size and data bind; otherwise its interval is wide.",
        "E, q and the exponents trade against each other on a narrow grid.",
    )
    published = MappingProxyType(
        {
            "busbridge2025": Published(
                coefficients={
                    "E": 1.220,
                    "A": 3355.0**0.452,
                    "B": 18186.0**0.452,
                    "alpha": 0.408 * 0.452,
                    "beta": 0.431 * 0.452,
                    "q": 0.452,
                },
                source="https://arxiv.org/abs/2502.08606, the supervised law (A 3355, B 18186, gamma 0.452)",
                note="From E + (A/N^0.408 + B/D^0.431)^0.452: A^0.452 and 0.408 x 0.452 become A and alpha.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        q = theta[5]
        size, data = self._logs(theta, x)
        # The larger term is taken out, so that small q does not overflow.
        top = np.where(np.real(size) > np.real(data), size, data)
        joined = np.exp((size - top) / q) + np.exp((data - top) / q)
        return np.asarray(theta[0] + np.exp(top + q * np.log(joined)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, B, _, _, q = theta
        size, data = self._logs(theta, x)
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        top = np.maximum(size, data)
        joined = np.exp((size - top) / q) + np.exp((data - top) / q)
        above = np.exp(top + q * np.log(joined))
        by_size = above * np.exp((size - top) / q) / joined
        by_data = above * np.exp((data - top) / q) / joined
        by_q = above * (np.log(joined) + top / q) - (by_size * size + by_data * data) / q
        parts = (
            np.ones_like(above),
            by_size / A,
            by_data / B,
            -by_size * log_N,
            -by_data * log_D,
            by_q,
        )
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents, floors and q on a grid; size and data cost the same at the median run."""
        size, data, middle = np.median(x["N"]), np.median(x["D"]), np.median(target)
        rows = []
        for share, alpha, beta, q in product((0.0, 0.4, 0.8), (0.1, 0.3, 0.6), (0.1, 0.3, 0.6), (0.3, 1.0)):
            E = share * target.min()
            each = (middle - E) / 2**q
            rows.append((E, each * size**alpha, each * data**beta, alpha, beta, q))
        return np.array(rows)

    def _logs(self, theta: Array, x: dict[str, Array]) -> tuple[Array, Array]:
        """Logarithms of what size and data cost alone."""
        _, A, B, alpha, beta, _ = theta
        return np.log(A) - alpha * np.log(x["N"]), np.log(B) - beta * np.log(x["D"])
