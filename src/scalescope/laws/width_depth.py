r"""Loss from width, depth and data, with and without a term of size, McLeish et al. (2025), "Gemstones".

.. math:: L = E + A w^{-\gamma} + B d^{-\delta} + C N^{-\alpha} + F D^{-\beta}

The form of the authors' notebook. With C = 0 it is the law of width, depth and data alone.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register

_WIDTH = Variable(column="width", low=64, high=8192, trend=-1)
_DEPTH = Variable(column="n_layers", low=2, high=100, trend=-1)
_SIZE = Variable(column="params", low=1e6, high=1e10, trend=-1)
_TOKENS = Variable(column="tokens", low=1e8, high=1e12, trend=-1)
_CAVEATS = (
    "Width, depth and size move together in most tables: without runs of odd shapes their terms are one.",
    "Published with N are the exponents 0.2447, 0.3872, 0.5001, 0.4761 (w, d, N, D); scales are not shipped.",
)


def _scale(what: str, example: float) -> Coefficient:
    return Coefficient(meaning=f"scale of what {what} costs", example=example, positive=True)


def _exponent(what: str, example: float) -> Coefficient:
    return Coefficient(
        meaning=f"{what} exponent", example=example, positive=True, low=0.01, high=3.0, start=(0.1, 1.2)
    )


class _Shape(Law):
    """A floor and a power law in each variable."""

    terms: ClassVar[tuple[tuple[str, str, str], ...]]
    """Scale, exponent and variable of each term."""

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        total = theta[0] + 0.0
        for scale, exponent, name in self.terms:
            A, a = theta[list(self.place(scale, exponent))]
            total = total + A * x[name] ** -a
        return np.asarray(total)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        slopes: dict[str, Array] = {"E": np.ones(())}
        for scale, exponent, name in self.terms:
            A, a = theta[list(self.place(scale, exponent))]
            log_x = np.log(x[name])
            slopes[scale] = np.exp(-a * log_x)
            slopes[exponent] = -A * slopes[scale] * log_x
        return np.stack(np.broadcast_arrays(*[slopes[name] for name in self.coefficients]))


@register
class WidthDepth(_Shape):
    """Irreducible loss plus a power law in width, one in depth, one in size and one in data."""

    name = "width-depth"
    title = "Loss from width, depth, size and data, McLeish et al. 2025"
    family = "shape"
    formula = "L = E + A/w^gamma + B/d^delta + C/N^alpha + F/D^beta"
    variables = named(w=_WIDTH, d=_DEPTH, N=_SIZE, D=_TOKENS)
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.4, low=0.0, high=20.0),
        A=_scale("a finite width", 4.0),
        B=_scale("a finite depth", 1.0),
        C=_scale("a finite size", 800.0),
        F=_scale("finite data", 4000.0),
        gamma=_exponent("width", 0.3),
        delta=_exponent("depth", 0.6),
        alpha=_exponent("size", 0.45),
        beta=_exponent("data", 0.42),
    )
    linear = ("E", "A", "B", "C", "F")
    terms = (("A", "gamma", "w"), ("B", "delta", "d"), ("C", "alpha", "N"), ("F", "beta", "D"))
    reference = "https://arxiv.org/abs/2502.06857"
    caveats = _CAVEATS


@register
class WidthDepthData(_Shape):
    """Irreducible loss plus a power law in width, one in depth and one in data."""

    name = "width-depth-data"
    title = "Loss from width, depth and data without a term of size, McLeish et al. 2025"
    family = "shape"
    formula = "L = E + A/w^gamma + B/d^delta + F/D^beta"
    variables = named(w=_WIDTH, d=_DEPTH, D=_TOKENS)
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.4, low=0.0, high=20.0),
        A=_scale("a finite width", 20.0),
        B=_scale("a finite depth", 1.5),
        F=_scale("finite data", 4000.0),
        gamma=_exponent("width", 0.6),
        delta=_exponent("depth", 0.7),
        beta=_exponent("data", 0.42),
    )
    linear = ("E", "A", "B", "F")
    terms = (("A", "gamma", "w"), ("B", "delta", "d"), ("F", "beta", "D"))
    reference = "https://arxiv.org/abs/2502.06857"
    caveats = (
        _CAVEATS[0],
        "On the runs of the paper its floor goes to zero and the depth exponent to 0.1.",
    )
