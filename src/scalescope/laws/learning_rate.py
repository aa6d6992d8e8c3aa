r"""The best peak learning rate, from size and tokens or from compute.

.. math:: \eta^*(N, D) = k N^a D^b, \qquad \eta^*(C) = k C^a
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Coefficient, Published, Variable, named, register
from scalescope.laws.monomials import PowerProduct

_CAVEATS = (
    "A learning rate is of one optimiser, parametrisation, schedule and batch; under another it is a guess.",
    "The optimum is flat: within a factor of two either way the loss hardly moves, so exponents are loose.",
)


@register
class LearningRate(PowerProduct):
    """One product of a power of size and one of tokens."""

    name = "learning-rate"
    title = "Best learning rate from size and data, Li et al. 2025 (Step Law)"
    family = "settings"
    formula = "lr*(N, D) = k N^a D^b"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e11), D=Variable(column="tokens", low=1e9, high=1e13)
    )
    coefficients = named(
        k=Coefficient(meaning="rate at one parameter and one token", example=1.79, positive=True),
        a=Coefficient(meaning="size exponent", example=-0.713, low=-3.0, high=3.0),
        b=Coefficient(meaning="data exponent", example=0.307, low=-3.0, high=3.0),
    )
    linear = ("k",)
    target = "learning_rate"
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2503.04715; https://arxiv.org/abs/2409.19913"
    caveats = (
        *_CAVEATS,
        "Sources disagree on the sign of b: 0.307 where the batch grows (Li et al.), -0.32 where not.",
        "The latter is of Bjorck et al. 2024, with a = -0.23; its prefactor, of unclear units, is left out.",
    )
    published = MappingProxyType(
        {
            "steplaw2025": Published(
                coefficients={"k": 1.79, "a": -0.713, "b": 0.307},
                source="https://arxiv.org/abs/2503.04715",
                count="params_nonembedding",
                verified=True,
                note="At the batch of its own law: see batch-size.",
            ),
            "porian2024": Published(
                coefficients={"k": 3.7, "a": -0.36, "b": 0.0},
                source="https://arxiv.org/abs/2406.19146",
                note="Along the best sizes, so that D is not separate from N. Not checked against the paper.",
            ),
        }
    )


@register
class LearningRateCompute(PowerProduct):
    """One power of compute, for training at the best size."""

    name = "learning-rate-compute"
    title = "Best learning rate from compute, DeepSeek 2024"
    family = "settings"
    formula = "lr*(C) = k C^a"
    variables = named(C=Variable(column="compute", low=1e17, high=1e25))
    coefficients = named(
        k=Coefficient(meaning="rate at one FLOP", example=0.3118, positive=True),
        a=Coefficient(meaning="compute exponent", example=-0.125, low=-3.0, high=3.0),
    )
    linear = ("k",)
    target = "learning_rate"
    reference = "https://arxiv.org/abs/2401.02954, section 3.1"
    caveats = (*_CAVEATS, "Holds at the best size of each compute, not off it.")
    published = MappingProxyType(
        {
            "deepseek2024": Published(
                coefficients={"k": 0.3118, "a": -0.1250},
                source="https://arxiv.org/abs/2401.02954, section 3.1",
                count="params_nonembedding",
                verified=True,
                note="C = M D with M the FLOP per token without embeddings but with attention.",
                ranges={"C": (1e17, 2e19)},
            ),
        }
    )
