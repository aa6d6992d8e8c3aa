"""Peak learning rates of every optimiser, as one table.

Those of Muon under `mup` were measured by `benchmarks/recipe.py`, the others, to within a factor of two, by
`benchmarks/transfer.py --part peaks` at width 32 and 60,000 to 200,000 tokens. Under `mup` they are those at
width 64, and some fall with the width as `FALLS` says; under `standard` every width has the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from scalescope.errors import InputError

Optimizer = Literal["muon", "adamw", "lion", "adafactor"]
Parametrisation = Literal["mup", "standard"]
Role = Literal["matrix", "expert", "router", "embedding", "head", "vector"]
"""What a parameter is for; a stack of experts is one `expert` parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Peak learning rates by what a parameter is for."""

    matrix: float
    """Of blocks and experts."""
    router: float
    """Of what sends tokens to experts; AdamW has them under `muon`."""
    head: float
    """And of the embedding where they are one."""
    embedding: float
    vector: float
    """Norms, biases, convolutions, decays."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) >= 0:
                raise InputError(f"rates: {one.name} must not be negative, got {getattr(self, one.name)}")


PEAKS: Mapping[tuple[Optimizer, Parametrisation], Rates] = {
    ("muon", "mup"): Rates(matrix=0.03, router=0.004, head=0.016, embedding=0.11, vector=0.007),
    ("adamw", "mup"): Rates(matrix=0.004, router=0.004, head=0.016, embedding=0.11, vector=0.007),
    ("lion", "mup"): Rates(matrix=0.004, router=0.004, head=0.016, embedding=0.08, vector=0.008),
    ("adafactor", "mup"): Rates(matrix=0.06, router=0.06, head=0.24, embedding=0.2, vector=0.016),
    ("muon", "standard"): Rates(matrix=0.016, router=0.016, head=0.016, embedding=0.016, vector=0.016),
    ("adamw", "standard"): Rates(matrix=0.008, router=0.008, head=0.008, embedding=0.008, vector=0.008),
    ("lion", "standard"): Rates(matrix=0.002, router=0.002, head=0.002, embedding=0.002, vector=0.002),
    ("adafactor", "standard"): Rates(matrix=0.05, router=0.05, head=0.05, embedding=0.05, vector=0.05),
}
"""Multiplied by `Recipe.rate`, which a study tunes."""

FALLS: Mapping[Optimizer, Mapping[Role, float]] = {
    "muon": {"router": 1.0, "head": 1.0},
    "adamw": {"matrix": 1.0, "expert": 1.0, "router": 1.0, "head": 1.0},
    "lion": {"matrix": 1.0, "expert": 1.0, "router": 1.0, "head": 1.0},
    "adafactor": {"matrix": 0.5, "expert": 0.5, "router": 0.5, "head": 0.5},
}
"""Powers of the width by which rates fall under `mup`; those left out are 0.

Updates of AdamW and Lion move every number alike, so a matrix needs 1/width (Yang & Hu 2021). Adafactor's are
relative to the size of its numbers, 1/sqrt(width).
"""


def peak(rates: Rates, role: Role, *, fall: float, width: int) -> float:
    """Return the peak rate of a role at a width."""
    base = rates.matrix if role == "expert" else float(getattr(rates, role))
    return float(base * 64**fall / width**fall)
