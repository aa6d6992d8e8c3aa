r"""The best size for a compute, as a power law.

.. math:: N^*(C) = G\,C^a

C is in FLOP throughout: a law printed for PF-days has its prefactor converted.
"""

from __future__ import annotations

from types import MappingProxyType

from scalescope.laws.base import Coefficient, Printed, Published, Variable, named, register
from scalescope.laws.henighan import BEST_SIZE
from scalescope.laws.monomials import PowerProduct
from scalescope.points.conversions import PF_DAY


@register
class SizeAllocation(PowerProduct):
    """One power law from compute to the size that makes the best of it."""

    name = "size-allocation"
    title = "Best size for a compute"
    family = "allocation"
    formula = "N*(C) = G C^a"
    variables = named(C=Variable(column="compute", low=1e17, high=1e25, trend=1))
    coefficients = named(
        G=Coefficient(meaning="best size at one FLOP", example=0.1, positive=True),
        a=Coefficient(meaning="compute exponent of the best size", example=0.5, low=-1.0, high=2.0),
    )
    linear = ("G",)
    target = "params"
    reference = "https://arxiv.org/abs/2203.15556, section 3"
    caveats = (
        "Takes optima, one row a budget, not runs: the law isoflop finds them from runs.",
        "What N counts moves the exponent: below a billion parameters embeddings are a large share.",
        "Only pairs with a known prefactor are shipped. Exponents alone: 0.49 (Hoffmann, approach 2).",
        "Porian et al. 2024 go from 0.835 to 0.497 as they remove what Kaplan et al. did differently.",
        "Better data favour size: DeepSeek finds 0.450, 0.524 and 0.578 on three corpora.",
    )
    published = MappingProxyType(
        {
            "kaplan2020": Published(
                coefficients={"G": 1.3e9 / PF_DAY**0.73, "a": 0.73},
                source="https://arxiv.org/abs/2001.08361, table 6: N = 1.3e9 (Cmin/PF-day)^0.73",
                count="params_nonembedding",
                verified=True,
                note="C is Cmin, the compute at a batch far below the critical one.",
                ranges={"N": (768.0, 1.5e9)},
                printed=(Printed(x={"C": PF_DAY}, value=1.3e9, rtol=1e-9),),
            ),
            "hoffmann2022-approach1": Published(
                coefficients={"G": 0.099198, "a": 0.498116},
                source="https://arxiv.org/abs/2203.15556, the line through table 3 (table 2 prints 0.50)",
                verified=True,
                note="The paper prints no prefactor: both numbers are read off the rows of table 3.",
                ranges={"N": (70e6, 10e9)},
                printed=tuple(
                    Printed(x={"C": compute}, value=size, rtol=3e-3)
                    for size, compute in (
                        (400e6, 1.92e19),
                        (1e9, 1.21e20),
                        (10e9, 1.23e22),
                        (175e9, 3.85e24),
                        (280e9, 9.90e24),
                        (520e9, 3.43e25),
                        (1e12, 1.27e26),
                        (10e12, 1.30e28),
                    )
                ),
            ),
            "hoffmann2022-approach3": Published(
                coefficients={"G": 0.573737, "a": 0.456526},
                source="https://arxiv.org/abs/2203.15556, eq. 4 with the coefficients of appendix D.3",
                verified=True,
                note="The optimum of its parametric law; table 2 prints 0.46.",
                ranges={"N": (44e6, 16e9), "C": (1e18, 1e22)},
            ),
            "epoch2024": Published(
                coefficients={"G": 0.0477474, "a": 0.512612},
                source="https://arxiv.org/abs/2404.10102, the optimum of its re-fit of Hoffmann's runs",
                verified=True,
                note="The optimum of its parametric law; the paper prints 0.513.",
                ranges={"N": (44e6, 16e9), "C": (1e18, 1e22)},
            ),
            "deepseek2024": Published(
                coefficients={"G": 0.1715 / 6, "a": 0.5243},
                source="https://arxiv.org/abs/2401.02954, section 3.2: M* = 0.1715 C^0.5243",
                count="params_nonembedding",
                verified=True,
                note=(
                    "M is FLOP per token without embeddings but with attention, and C = M D. N is M/6, so a "
                    "long context counts as size."
                ),
            ),
            "llama3": Published(
                coefficients={"G": 1 / (6 * 0.299), "a": 1 - 0.537},
                source="https://arxiv.org/abs/2407.21783, section 3.2.1: D* = 0.299 C^0.537",
                verified=True,
                note=(
                    "N* = C/(6 D*). The printed 402B is 5% above C/(6 x 16.55T) at its own 3.8e25 FLOP, and "
                    "the rounded exponent moves either by 3%."
                ),
                ranges={"C": (6e18, 1e22)},
            ),
            **BEST_SIZE,
        }
    )
