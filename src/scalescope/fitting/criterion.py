"""What a fit minimises, and what its coefficients are held to: options as data, kept in every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scalescope.errors import InputError
from scalescope.laws.base import Scale

Penalty = Literal["huber", "squared", "absolute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """The objective: a sum over the runs of a penalty of the residuals.

    A residual is the logarithm (or, on the raw scale, the value) of the target minus that of the law. Where
    the table has standard errors, `errors` names their column and every residual is divided by its own.
    """

    penalty: Penalty = "huber"
    delta: float = 1e-3
    """Where the Huber penalty turns linear, in the unit of a residual."""
    scale: Scale | None = None
    """`log` or `raw`; None for the law's own."""
    below: float = 0.5
    """Share of the penalty given to runs below the law: towards 1 it becomes a lower envelope."""
    weights: str | None = None
    """Column of weights."""
    errors: str | None = None
    """Column of known standard errors of the target, in its unit."""

    def __post_init__(self) -> None:
        if self.penalty not in ("huber", "squared", "absolute"):
            raise InputError(f"no penalty is called {self.penalty!r}", hint="huber, squared or absolute.")
        if self.scale not in (None, "log", "raw"):
            raise InputError(f"no scale is called {self.scale!r}", hint="log or raw.")
        if not 0 < self.delta < float("inf"):
            raise InputError(
                f"delta must be above zero and finite, got {self.delta}",
                hint="0.001 is the usual value; without a linear part it is the squared penalty.",
            )
        if not 0 < self.below < 1:
            raise InputError(
                f"below must be between 0 and 1, got {self.below}", hint="0.5 is symmetric, 0.95 an envelope."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A normal prior of a coefficient, or of its logarithm where it is a scale; `sd` in that unit."""

    mean: float
    """In natural units."""
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraints:
    """What coefficients are held to beyond the limits of the law."""

    fixed: Mapping[str, float] = field(default_factory=dict)
    """Coefficient to its value, natural units."""
    tied: tuple[tuple[str, ...], ...] = ()
    """Groups of coefficients that are one number, such as (("alpha", "beta"),)."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Coefficient to (lowest, highest), natural units; replaces the limits of the law."""
    priors: Mapping[str, Prior] = field(default_factory=dict)


HUBER = Criterion()
"""Sum of Huber penalties of log residuals, delta 1e-3: the convention of Hoffmann et al. (2022)."""
FREE = Restraints()
