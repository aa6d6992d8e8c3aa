r"""Loss of training in low precision: Kumar et al. (2024), eq. 9 without what quantisation afterwards costs.

.. math:: L(N, D, P) = E + A N_{eff}^{-\alpha} + B D^{-\beta}, \qquad
          N_{eff} = N \prod_x \left(1 - e^{-P_x/\gamma_x}\right)

with x the weights, the activations and the cache of keys and values. Compute counts as
:math:`C = \frac{6}{16} N D P`: FLOP at 16 bits, and in proportion to the bits below. When all three share one
precision, :math:`N_{eff} D` at a given C is in proportion to :math:`\prod_x(1 - e^{-P/\gamma_x})/P`, so that
the best precision is one number for every budget.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import power_term, stacked

PARTS = (
    ("P_weights", "gamma_weights"),
    ("P_activations", "gamma_activations"),
    ("P_cache", "gamma_cache"),
)
"""Variable to the coefficient that says how many bits the part needs."""


def _bits(column: str) -> Variable:
    return Variable(column=column, low=2.0, high=16.0, trend=-1)


def _need(part: str, example: float) -> Coefficient:
    return Coefficient(
        meaning=f"bits at which {part} lose their effect, by a factor e",
        example=example,
        positive=True,
        low=0.05,
        high=30.0,
        start=(0.5, 6.0),
    )


@register
class Precision(Law):
    """Chinchilla with a size that shrinks as bits are taken away."""

    name = "precision"
    title = "Loss of training in low precision, Kumar et al. 2024"
    family = "precision"
    formula = (
        "L = E + A/Neff^alpha + B/D^beta; Neff = N (1 - exp(-P_weights/gamma_weights))"
        " (1 - exp(-P_activations/gamma_activations)) (1 - exp(-P_cache/gamma_cache))"
    )
    variables = named(
        N=Variable(column="params", low=1e7, high=1e9, trend=-1),
        D=Variable(column="tokens", low=1e9, high=1e11, trend=-1),
        P_weights=_bits("bits_weights"),
        P_activations=_bits("bits_activations"),
        P_cache=_bits("bits_cache"),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=2.7, positive=True, low=1e-3, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=4000.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=1.8e4, positive=True),
        alpha=Coefficient(
            meaning="size exponent", example=0.5, positive=True, low=0.01, high=3.0, start=(0.2, 0.8)
        ),
        beta=Coefficient(
            meaning="data exponent", example=0.48, positive=True, low=0.01, high=3.0, start=(0.2, 0.8)
        ),
        gamma_weights=_need("weights", 2.67),
        gamma_activations=_need("activations", 2.21),
        gamma_cache=_need("keys and values", 0.96),
    )
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2411.04330, eq. 9 without its last term"
    caveats = (
        "Fitted to models of up to 220M parameters; the paper reports R2 0.82 on larger ones held out.",
        "Bits are those of integers as the paper simulates them; floating-point formats need their own.",
        "A part that was never below 8 bits leaves its gamma unidentified.",
    )
    published = MappingProxyType(
        {
            "kumar2024": Published(
                coefficients={
                    "E": 2.7648,
                    "A": 4.299e3,
                    "B": 1.806e4,
                    "alpha": 0.4965,
                    "beta": 0.4965,
                    "gamma_weights": 2.6745,
                    "gamma_activations": 2.2102,
                    "gamma_cache": 0.9578,
                },
                source="https://arxiv.org/abs/2411.04330, section 4 and its appendix",
                note=(
                    "The gammas were read in the paper; E, A, B and the exponents, which it ties, were not."
                    " They belong with offsets of the bits that its main text leaves out and that are not"
                    " here: without them the best shared precision is 3.5 bits, where it states 7 to 8."
                ),
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta, *gammas = theta
        size = np.log(x["N"]) + sum(
            _log_kept(x[bits], gamma) for (bits, _), gamma in zip(PARTS, gammas, strict=True)
        )
        return np.asarray(E + A * np.exp(-alpha * size) + B * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta, *gammas = theta
        bits = [x[name] for name, _ in PARTS]
        size = np.log(x["N"]) + sum(_log_kept(P, gamma) for P, gamma in zip(bits, gammas, strict=True))
        fall = np.exp(-alpha * size)
        _, data, by_beta = power_term(B, beta, x["D"])
        by_gamma = [
            alpha * A * fall * P / gamma**2 / np.expm1(P / gamma)
            for P, gamma in zip(bits, gammas, strict=True)
        ]
        return stacked(np.ones_like(E * fall), fall, data, -A * fall * size, by_beta, *by_gamma)


def _log_kept(bits: Array, gamma: Array) -> Array:
    """Logarithm of the share of the size that is left at a precision."""
    return np.asarray(np.log(-np.expm1(-bits / gamma)))


def optimal_precision(gammas: npt.ArrayLike) -> Array:
    r"""Return the precision that is best for every compute budget, in bits.

    Weights, activations and cache share it, and compute counts as :math:`\frac{6}{16} N D P`. It solves
    :math:`\sum_x \frac{P/\gamma_x}{e^{P/\gamma_x} - 1} = 1`, by bisection.

    Parameters
    ----------
    gammas
        What the parts that share the precision need, in bits; the first axis runs over the parts, at least
        two, and the rest is free, such as one per resample.

    Returns
    -------
    Array
        Bits, of the shape of `gammas` without its first axis.
    """
    need = np.asarray(gammas, dtype=np.float64)
    low, high = np.zeros(need.shape[1:]), 100.0 * need.max(axis=0)
    for _ in range(100):
        middle = (low + high) / 2
        ratio = np.maximum(middle / need, 1e-300)
        with np.errstate(over="ignore"):
            rising = (ratio / np.expm1(ratio)).sum(axis=0) > 1
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return np.asarray((low + high) / 2)
