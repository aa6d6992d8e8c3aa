"""Published rules that turn a compute budget into a model size, typed in with their sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scalescope.laws import get_law
from scalescope.planning.surface import Surface
from scalescope.points.conversions import PF_DAY

HOFFMANN_TABLE_3 = (
    (400e6, 1.92e19, 1 / 29_968, 8.0e9),
    (1e9, 1.21e20, 1 / 4_761, 20.2e9),
    (10e9, 1.23e22, 1 / 46, 205.1e9),
    (67e9, 5.76e23, 1.0, 1.5e12),
    (175e9, 3.85e24, 6.7, 3.7e12),
    (280e9, 9.90e24, 17.2, 5.9e12),
    (520e9, 3.43e25, 59.5, 11.0e12),
    (1e12, 1.27e26, 221.3, 21.2e12),
    (10e12, 1.30e28, 22515.9, 216.2e12),
)
"""Size, FLOP, FLOP over Gopher's, tokens, as printed in https://arxiv.org/abs/2203.15556, table 3."""

GOPHER_COMPUTE = 5.76e23
"""FLOP, the unit of the third column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A published rule: compute in, size out; tokens follow from C = 6 N D."""

    name: str
    source: str
    count: str
    """Which parameters its N counts."""
    sizes: tuple[float, float]
    """Smallest and largest model that the rule was made from."""
    size: Callable[[float], float]
    """Size for a compute in FLOP."""


def kaplan_size(compute: float) -> float:
    """Size advised by Kaplan et al. (2020): 1.3e9 non-embedding parameters at one PF-day, exponent 0.73.

    Their compute is the least that reaches the loss, at batches far below the critical one. A run at the
    critical batch spends twice as much; the rule is applied to the whole budget here, as it is mostly used.
    """
    return float(1.3e9 * (compute / PF_DAY) ** 0.73)


@lru_cache(maxsize=1)
def hoffmann_power_law() -> tuple[float, float]:
    """Exponent and log prefactor of the power law behind Hoffmann's table 3.

    The paper prints the exponent to two digits and no prefactor, so both are read off the table: a straight
    line in logarithms through the rows with round sizes, each weighted by how finely its compute is
    printed, which is in units of Gopher's. Gopher's own row is left out: its size was rounded from
    its compute and lies 1.3% off the line of the others.
    """
    size, _, units, _ = np.array([row for row in HOFFMANN_TABLE_3 if row[2] != 1]).T
    # Below one the reciprocal is printed, to whole numbers; above, one decimal.
    rounding = np.where(units < 1, 0.5 * units, 0.05 / units)
    log_compute = np.log(units * GOPHER_COMPUTE)
    exponent, prefactor = np.polyfit(log_compute, np.log(size), 1, w=1 / rounding)
    return float(exponent), float(prefactor)


def hoffmann_size(compute: float) -> float:
    """Size advised by Hoffmann et al. (2022), approach 1: the power law of their table 3."""
    exponent, prefactor = hoffmann_power_law()
    return float(np.exp(prefactor + exponent * np.log(compute)))


def hoffmann_parametric_size(compute: float) -> float:
    """Size advised by Hoffmann et al. (2022), approach 3: the optimum of their parametric law."""
    published = get_law("chinchilla").published["hoffmann2022"]
    surface = Surface.of_coefficients("chinchilla", published.coefficients)
    return float(surface.optimum(np.array([compute]))[0, 0])


RULES = (
    Rule(
        name="Kaplan 2020",
        source="https://arxiv.org/abs/2001.08361, table 6: N = 1.3e9 (C / PF-day)^0.73 without embeddings",
        count="params_nonembedding",
        sizes=(768.0, 1.5e9),
        size=kaplan_size,
    ),
    Rule(
        name="Hoffmann 2022, approach 1",
        source="https://arxiv.org/abs/2203.15556, table 3: the power law through its rows, N all parameters",
        count="params",
        sizes=(70e6, 10e9),
        size=hoffmann_size,
    ),
    Rule(
        name="Hoffmann 2022, approach 3",
        source="https://arxiv.org/abs/2203.15556, eq. 4, coefficients of appendix D.3, N all parameters",
        count="params",
        sizes=(44e6, 16e9),
        size=hoffmann_parametric_size,
    ),
)
"""All that a plan is compared with, in order of publication."""
