r"""Loss of networks with weights pruned to zero, Frantar et al. (2023).

.. math:: L(S, N, D) = \left(a_S (1 - S)^{b_S} + c_S\right) N^{-b_N} + \left(\frac{a_D}{D}\right)^{b_D} + c

N counts the weights that are not zero, S is the share that is. Source: https://arxiv.org/abs/2309.08520.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import stacked

NAMES = ("a_S", "b_S", "c_S", "b_N", "a_D", "b_D", "c")


def _exponent(meaning: str, example: float, low: float, high: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=3.0, start=(low, high))


def _published(values: tuple[float, ...], what: str) -> Published:
    return Published(
        coefficients=dict(zip(NAMES, values, strict=True)),
        source=f"https://arxiv.org/abs/2309.08520; {what}",
        verified=True,
    )


@register
class Pruned(Law):
    """A size term whose scale falls with sparsity, a data term and a floor."""

    name = "pruned"
    title = "Loss from weights that are not zero, their share and data, Frantar et al. 2023"
    family = "sparse"
    formula = "L(S, N, D) = (a_S (1 - S)^b_S + c_S)/N^b_N + (a_D/D)^b_D + c"
    variables = named(
        N=Variable(column="params", low=1e6, high=1e9, trend=-1, meaning="weights that are not zero"),
        D=Variable(column="tokens", low=1e9, high=1e11, trend=-1, meaning="tokens or images seen"),
        S=Variable(column="sparsity", low=0.0, high=0.95, logarithmic=False, trend=-1),
    )
    coefficients = named(
        a_S=Coefficient(meaning="scale of what density costs", example=16.8, positive=True),
        b_S=_exponent("density exponent", 0.722, 0.2, 2.0),
        c_S=Coefficient(meaning="scale of the size term at full sparsity", example=45.0, positive=True),
        b_N=_exponent("size exponent", 0.245, 0.08, 0.8),
        a_D=Coefficient(
            meaning="data at which their term is one nat", example=6.9e8, positive=True, start=(1e6, 1e11)
        ),
        b_D=_exponent("data exponent", 0.203, 0.08, 1.0),
        c=Coefficient(meaning="irreducible loss", example=0.651, low=0.0, high=20.0),
    )
    linear = ("a_S", "c_S", "c")
    reference = "https://arxiv.org/abs/2309.08520"
    caveats = (
        "For equal non-zero weights: the sparse network costs more to store and train than the dense one.",
        "Unstructured pruning during training; the vision set counts images, the text set tokens.",
    )
    published = MappingProxyType(
        {
            "frantar2023-vit": _published((2.94e2, 0.821, 4.68e2, 0.392, 2.37e8, 0.890, 4.517), "ViT on JFT"),
            "frantar2023-t5": _published((16.8, 0.722, 45.0, 0.245, 6.90e8, 0.203, 0.651), "T5 on C4"),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        a_S, b_S, c_S, b_N, a_D, b_D, c = theta
        size = (a_S * (1 - x["S"]) ** b_S + c_S) * x["N"] ** -b_N
        return np.asarray(size + (a_D / x["D"]) ** b_D + c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        a_S, b_S, c_S, b_N, a_D, b_D, _ = theta
        dense, fall = (1 - x["S"]) ** b_S, x["N"] ** -b_N
        data = (a_D / x["D"]) ** b_D
        return stacked(
            dense * fall,
            a_S * dense * np.log(1 - x["S"]) * fall,
            fall,
            -(a_S * dense + c_S) * fall * np.log(x["N"]),
            b_D * data / a_D,
            data * np.log(a_D / x["D"]),
            np.ones_like(data * fall),
        )

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes and data over their ranges; a quarter of the networks dense."""
        N, D, share = (low_discrepancy(n, column) for column in range(3))
        S = np.where(np.arange(n) % 4 == 0, 0.0, 1 - 20.0**-share)
        return {"N": 10 ** (6 + 3 * N), "D": 10 ** (9 + 2 * D), "S": S}
