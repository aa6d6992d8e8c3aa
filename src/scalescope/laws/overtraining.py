r"""Loss from compute and tokens per parameter, Gadre et al. (2024), for models trained far past the optimum.

.. math:: L(C, M) = E + (a M^{\eta} + b M^{-\eta})\, C^{-\eta}, \quad C = 6 N D, \quad M = D / N

It is `chinchilla` with equal exponents :math:`\alpha = \beta = 2\eta`, :math:`A = 6^{-\eta} a` and
:math:`B = 6^{-\eta} b`: at a fixed M the loss falls with one exponent, whatever M.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN


def _gadre(data: str, E: float, a: float, b: float, eta: float) -> Published:
    """Coefficients as the authors' code prints them: there the size term is a N^(-2 eta), without the 6."""
    return Published(
        coefficients={"E": E, "a": a * FLOP_PER_PARAM_TOKEN ** (eta / 2), "b": b, "eta": eta / 2},
        source=f"https://arxiv.org/abs/2403.08540, eq. 4, fitted to five small models of its 104: {data}",
        verified=True,
        note=(
            f"Its code fits E + {a:g} N^-{eta:g} + {b:g} (M C)^-{eta / 2:g}: eta here is half of "
            f"that exponent, and a is {a:g} times 6^eta. Loss on C4."
        ),
        ranges={"N": (10_569_312, 411_616_256), "D": (2.11e8, 8.23e9)},
    )


@register
class Overtraining(Law):
    """Irreducible loss plus one power law in compute, whose height depends on tokens per parameter."""

    name = "overtraining"
    title = "Loss from compute and tokens per parameter, Gadre et al. 2024"
    family = "size-and-data"
    formula = "L(N, D) = E + (a M^eta + b/M^eta)/C^eta,  C = 6 N D,  M = D/N"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e7, high=1e12, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.8, low=0.0, high=20.0),
        a=Coefficient(meaning="scale of what a finite size costs", example=210.0, positive=True),
        b=Coefficient(meaning="scale of what finite data cost", example=370.0, positive=True),
        eta=Coefficient(
            meaning="compute exponent at fixed M",
            example=0.136,
            positive=True,
            low=0.005,
            high=1.5,
            start=(0.03, 0.5),
        ),
    )
    linear = ("E", "a", "b")
    reference = "https://arxiv.org/abs/2403.08540, eq. 4"
    caveats = (
        "Size and data have one exponent by construction: a surface with two is described poorly.",
        "The best M does not depend on compute: it is b/a to the power 1/(2 eta).",
    )
    published = MappingProxyType(
        {
            "gadre2024-c4": _gadre("C4", 1.5083, 113.7, 189.5, 0.2425),
            "gadre2024-redpajama": _gadre("RedPajama", 1.8366, 166.2, 366.7, 0.2729),
            "gadre2024-refinedweb": _gadre("RefinedWeb", 1.7345, 125.1, 246.2, 0.2544),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, a, b, eta = theta
        log_C, log_M = self._logs(x)
        return np.asarray(E + a * np.exp(eta * (log_M - log_C)) + b * np.exp(-eta * (log_M + log_C)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, a, b, eta = theta
        log_C, log_M = self._logs(x)
        size, data = np.exp(eta * (log_M - log_C)), np.exp(-eta * (log_M + log_C))
        by_eta = a * size * (log_M - log_C) - b * data * (log_M + log_C)
        return np.stack(np.broadcast_arrays(np.ones_like(by_eta), size, data, by_eta))

    def _logs(self, x: dict[str, Array]) -> tuple[Array, Array]:
        """Logarithms of C and M."""
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        return np.log(FLOP_PER_PARAM_TOKEN) + log_N + log_D, log_D - log_N
