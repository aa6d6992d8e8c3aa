"""How a run reads a corpus: shares of its sources, stages, order, and how much of it.

Plain values that cross a pipe; `readers` makes a reader of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from scalescope.errors import InputError, nearest

OrderName = Literal["shuffled", "length", "compressibility", "difficulty"]
"""Shuffled; or from short to long documents, from those that compress well to those that do not, or from easy
to hard for a small model (Bengio et al. 2009, https://dl.acm.org/doi/10.1145/1553374.1553380)."""

ORDERS: tuple[OrderName, ...] = get_args(OrderName)
LEAST_SHARE = 1 / 4096
"""A source that is read at all is read at least once in so many sequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run with shares of its own, such as cleaner text while the rate falls."""

    until: float
    """Share of the run at which it ends; 1 for the last one."""
    weights: Mapping[str, float]
    """Source to its share of the sequences; they need not sum to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read.  The default is the whole corpus at the shares of its recipe, shuffled.

    Raises
    ------
    InputError
        If stages do not ascend to 1, or weights are none.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    """Source to its share of the sequences; those of the corpus if empty."""
    stages: tuple[Stage, ...] = ()
    """Instead of `weights`, one after the other."""
    order: OrderName = "shuffled"
    unique_tokens: int = 0
    """Read only so many different tokens, again and again; 0 for all. Sources keep their shares."""

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise InputError(f"reading: no order is called {self.order!r}", hint=nearest(self.order, ORDERS))
        if self.unique_tokens < 0:
            raise InputError(f"reading: unique_tokens must not be negative, got {self.unique_tokens}")
        if self.stages and self.unique_tokens:
            raise InputError("reading: unique tokens and stages exclude each other so far")
        if self.stages and self.weights:
            raise InputError("reading: give weights or stages", hint="Stages have weights of their own.")
        ends = [stage.until for stage in self.stages]
        if ends and (sorted(set(ends)) != ends or ends[0] <= 0 or ends[-1] != 1):
            raise InputError(
                f"reading: stages end at {', '.join(f'{end:g}' for end in ends)}",
                hint="Give ascending shares of the run, the last one 1.",
            )
        for weights in (self.weights, *(stage.weights for stage in self.stages)):
            if any(not weight >= 0 for weight in weights.values()):
                raise InputError("reading: a weight must not be negative")

    @property
    def plain(self) -> bool:
        """Whether a whole corpus of one source is read in the usual order."""
        return self == Reading()


def shares_of(weights: Mapping[str, float], sources: tuple[str, ...]) -> tuple[float, ...]:
    """Return the share of every source, in order; they sum to one.

    Raises
    ------
    InputError
        If a name is no source, all weights are zero, or a share is too small to be kept.
    """
    for name in weights:
        if name not in sources:
            raise InputError(f"the corpus has no source {name!r}", hint=nearest(name, sources))
    total = sum(weights.values())
    if not total > 0:
        raise InputError("reading: all weights are zero", hint=f"Sources: {', '.join(sources)}.")
    shares = tuple(weights.get(name, 0.0) / total for name in sources)
    for name, share in zip(sources, shares, strict=True):
        if 0 < share < LEAST_SHARE:
            raise InputError(
                f"reading: source {name} has a share of {share:.2g}, and the least that is kept is "
                f"{LEAST_SHARE:.2g}",
                hint="Give it more, or leave it out.",
            )
    return shares
