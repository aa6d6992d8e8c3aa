r"""The best number of tokens for a compute, as a power law.

.. math:: D^*(C) = H\,C^b

C is in FLOP throughout: a law printed for PF-days has its prefactor converted.
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Coefficient, Printed, Published, Variable, named, register
from scalescope.laws.monomials import PowerProduct
from scalescope.points.conversions import PF_DAY


@register
class DataAllocation(PowerProduct):
    """One power law from compute to the tokens that make the best of it."""

    name = "data-allocation"
    title = "Best number of tokens for a compute"
    family = "allocation"
    formula = "D*(C) = H C^b"
    variables = named(C=Variable(column="compute", low=1e17, high=1e25, trend=1))
    coefficients = named(
        H=Coefficient(meaning="best tokens at one FLOP", example=2.0, positive=True),
        b=Coefficient(meaning="compute exponent of the best tokens", example=0.5, low=-1.0, high=2.0),
    )
    linear = ("H",)
    target = "tokens"
    reference = "https://arxiv.org/abs/2203.15556, section 3"
    caveats = (
        "Takes optima, one row a budget, not runs.",
        "With C = 6 N D it is size-allocation over again: b = 1 - a and H = 1/(6 G).",
        "Every token must be fresh.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"H": 2e10 / PF_DAY**0.27, "b": 0.27},
                source="https://arxiv.org/abs/2001.08361, section 6: D = 2e10 (Cmin/PF-day)^0.27 tokens",
                count="params_nonembedding",
                note=(
                    "The prefactor was not checked against the paper. It is for the critical batch, which "
                    "spends twice Cmin: 6 N D is then 2 Cmin, not Cmin."
                ),
            ),
            "hoffmann2022-approach1": Published(
                coefficients={"H": 1 / (6 * 0.099198), "b": 1 - 0.498116},
                source="https://arxiv.org/abs/2203.15556, the line through table 3 (table 2 prints 0.50)",
                verified=True,
                note="The paper prints no prefactor: both numbers are read off the rows of table 3.",
                printed=tuple(
                    Printed(x={"C": compute}, value=tokens, rtol=1e-2)
                    for compute, tokens in (
                        (1.92e19, 8.0e9),
                        (1.21e20, 20.2e9),
                        (1.23e22, 205.1e9),
                        (3.85e24, 3.7e12),
                        (9.90e24, 5.9e12),
                        (3.43e25, 11.0e12),
                        (1.27e26, 21.2e12),
                        (1.30e28, 216.2e12),
                    )
                ),
            ),
            "hoffmann2022-approach3": Published(
                coefficients={"H": 1 / (6 * 0.573737), "b": 1 - 0.456526},
                source="https://arxiv.org/abs/2203.15556, eq. 4 with the coefficients of appendix D.3",
                verified=True,
                note="The optimum of its parametric law; table 2 prints 0.54.",
                ranges={"D": (5e8, 5e11), "C": (1e18, 1e22)},
            ),
            "epoch2024": Published(
                coefficients={"H": 1 / (6 * 0.0477474), "b": 1 - 0.512612},
                source="https://arxiv.org/abs/2404.10102, the optimum of its re-fit of Hoffmann's runs",
                verified=True,
                note="The optimum of its parametric law.",
                ranges={"D": (5e8, 5e11), "C": (1e18, 1e22)},
            ),
            "deepseek2024": Published(
                coefficients={"H": 5.8316, "b": 0.4757},
                source="https://arxiv.org/abs/2401.02954, section 3.2: D* = 5.8316 C^0.4757",
                count="params_nonembedding",
                verified=True,
                note="C = M D with M the FLOP per token without embeddings but with attention.",
            ),
            "llama3": Published(
                coefficients={"H": 0.299, "b": 0.537},
                source="https://arxiv.org/abs/2407.21783, section 3.2.1",
                verified=True,
                note="Both numbers are rounded: at 3.8e25 FLOP the last digit of b alone moves D* by 3%.",
                ranges={"C": (6e18, 1e22)},
                printed=(Printed(x={"C": 3.8e25}, value=16.55e12, rtol=0.03),),
            ),
        }
    )
