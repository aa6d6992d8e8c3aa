r"""The best batch in tokens, from size and tokens or from compute.

.. math:: B^*(N, D) = k N^a D^b, \qquad B^*(C) = k C^b
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Coefficient, Published, Variable, named, register
from scalescope.laws.monomials import PowerProduct
from scalescope.points.conversions import PF_DAY

_CAVEATS = (
    "The optimum is flat, and larger batches train faster: the best for loss is rarely the best for time.",
)


@register
class BatchSize(PowerProduct):
    """One product of a power of size and one of tokens; most find the tokens alone to matter."""

    name = "batch-size"
    title = "Best batch from size and data, Li et al. 2025 (Step Law)"
    family = "settings"
    formula = "B*(N, D) = k N^a D^b"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e11), D=Variable(column="tokens", low=1e9, high=1e13)
    )
    coefficients = named(
        k=Coefficient(meaning="batch at one parameter and one token, tokens", example=0.58, positive=True),
        a=Coefficient(meaning="size exponent", example=0.05, low=-3.0, high=3.0),
        b=Coefficient(meaning="data exponent", example=0.571, low=-3.0, high=3.0),
    )
    linear = ("k",)
    target = "batch_tokens"
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2503.04715"
    caveats = (
        *_CAVEATS,
        "Bergsma et al. 2025 find the critical batch to grow as D^0.47; their prefactor is not shipped.",
    )
    published = MappingProxyType(
        {
            "steplaw2025": Published(
                coefficients={"k": 0.58, "a": 0.0, "b": 0.571},
                source="https://arxiv.org/abs/2503.04715",
                count="params_nonembedding",
                verified=True,
                note="At the learning rate of its own law; the size was found not to matter.",
            ),
            "porian2024": Published(
                coefficients={"k": 0.7576, "a": 0.703, "b": 0.0},
                source="https://arxiv.org/abs/2406.19146",
                note=(
                    "Along the best sizes, so that D is not separate from N. Not checked against the paper. "
                    "Read as tokens: in sequences of 2048, 100M parameters would take 650 million a step."
                ),
            ),
        }
    )


@register
class BatchCompute(PowerProduct):
    """One power of compute, for training at the best size."""

    name = "batch-compute"
    title = "Best batch from compute, DeepSeek 2024"
    family = "settings"
    formula = "B*(C) = k C^b"
    variables = named(C=Variable(column="compute", low=1e17, high=1e25))
    coefficients = named(
        k=Coefficient(meaning="batch at one FLOP, tokens", example=0.2920, positive=True),
        b=Coefficient(meaning="compute exponent", example=0.3271, low=-3.0, high=3.0),
    )
    linear = ("k",)
    target = "batch_tokens"
    reference = "https://arxiv.org/abs/2401.02954, section 3.1; https://arxiv.org/abs/2001.08361, section 6"
    caveats = (*_CAVEATS, "Holds at the best size of each compute, not off it.")
    published = MappingProxyType(
        {
            "deepseek2024": Published(
                coefficients={"k": 0.2920, "b": 0.3271},
                source="https://arxiv.org/abs/2401.02954, section 3.1",
                count="params_nonembedding",
                verified=True,
                note="C = M D with M the FLOP per token without embeddings but with attention.",
                ranges={"C": (1e17, 2e19)},
            ),
            "kaplan2020": Published(
                coefficients={"k": 2.0e6 / PF_DAY**0.24, "b": 0.24},
                source="https://arxiv.org/abs/2001.08361, section 6: B = 2.0e6 (Cmin/PF-day)^0.24 tokens",
                count="params_nonembedding",
                note="The prefactor was not checked against the paper. The critical batch along the optimum.",
            ),
        }
    )
