r"""Loss and the size of the vocabulary: Tao et al. (2024).

.. math:: L_u = -E + A_1 N_{nv}^{-\alpha_1} + A_2 N_v^{-\alpha_2} + B D^{-\beta}

with :math:`N_v` the parameters of the embedding (vocabulary times width), :math:`N_{nv}` all others, and
:math:`L_u` the loss minus that of a unigram model, which makes vocabularies comparable and is below zero.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import power_term, stacked

_PRINTED_PER_TOKEN = 2.96
"""Tokens as the code of the paper counts them, a true token: the median over its table, 2.65 to 3.01."""


def _exponent(what: str, example: float) -> Coefficient:
    return Coefficient(
        meaning=f"{what} exponent", example=example, positive=True, low=0.01, high=3.0, start=(0.15, 1.2)
    )


@register
class Vocabulary(Law):
    """One power law each in the network, its embedding and the data, below the unigram loss."""

    name = "vocabulary"
    title = "Loss and the size of the vocabulary, Tao et al. 2024"
    family = "precision"
    formula = "L_u = -E + A_1/N_nv^alpha_1 + A_2/N_v^alpha_2 + B/D^beta"
    variables = named(
        N_nv=Variable(column="params_nonembedding", low=1e7, high=3e9, trend=-1),
        N_v=Variable(column="params_embedding", low=1e6, high=3e8, trend=-1),
        D=Variable(column="tokens", low=1e8, high=1e11, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="how far below the unigram loss the limit lies", example=5.5, positive=True),
        A_1=Coefficient(meaning="scale of what a finite network costs", example=900.0, positive=True),
        A_2=Coefficient(meaning="scale of what a finite vocabulary costs", example=2.0e3, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=1.2e4, positive=True),
        alpha_1=_exponent("network", 0.447),
        alpha_2=_exponent("vocabulary", 0.671),
        beta=_exponent("data", 0.44),
    )
    target = "loss_unigram"
    scale = "raw"
    linear = ("E", "A_1", "A_2", "B")
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2407.13623, approach 3"
    caveats = (
        "The paper ties alpha_1 and beta; on its own table alpha_1 is not identified without that.",
        "alpha_2 rests on a small part of the loss: it is 0.66 or 1.06 on that table, by how tokens count.",
    )
    published = MappingProxyType(
        {
            "tao2024": Published(
                coefficients={
                    "E": 5.533,
                    "A_1": 1.831 * 1e6**0.447,
                    "A_2": 0.196 * 1e6**0.671,
                    "B": 2.124 * (1e9 / _PRINTED_PER_TOKEN) ** 0.447,
                    "alpha_1": 0.447,
                    "alpha_2": 0.671,
                    "beta": 0.447,
                },
                source="https://arxiv.org/abs/2407.13623, appendix (printed for millions of parameters)",
                count="params_nonembedding",
                verified=True,
                note=(
                    "Converted to single parameters and tokens. The paper's code turns characters into tokens"
                    " with the vocabulary in thousands, and so counts 2.65 to 3.01 tokens for each; only that"
                    " count gives the printed numbers back, and 2.96 is used here."
                ),
                ranges={"N": (33e6, 1.13e9), "C": (2.18e17, 4.4e20)},
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss minus the unigram loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A_1, A_2, B, alpha_1, alpha_2, beta = theta
        network, vocabulary = x["N_nv"] ** -alpha_1, x["N_v"] ** -alpha_2
        return np.asarray(A_1 * network + A_2 * vocabulary + B * x["D"] ** -beta - E)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A_1, A_2, B, alpha_1, alpha_2, beta = theta
        _, network, by_alpha_1 = power_term(A_1, alpha_1, x["N_nv"])
        _, vocabulary, by_alpha_2 = power_term(A_2, alpha_2, x["N_v"])
        _, data, by_beta = power_term(B, beta, x["D"])
        below = -np.ones_like(E * network)
        return stacked(below, network, vocabulary, data, by_alpha_1, by_alpha_2, by_beta)
