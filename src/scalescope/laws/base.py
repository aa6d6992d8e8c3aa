"""What a scaling law is to the rest of the program, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, nearest

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Coefficients that a paper printed, with the conventions they are valid under."""

    coefficients: Mapping[str, float]
    source: str
    count: str = "params"
    """Which parameters N counts in that paper."""
    verified: bool = False
    """Whether the numbers were recomputed from data or read in the source, not remembered."""
    note: str = ""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The data behind the fit: variable (N, D, C) to (lowest, highest)."""


class Law(Protocol):
    """A formula for the loss and all that fitting it needs.  Stateless; one per file.

    Everywhere `theta` has shape (n_coefficients, ...) in the order of `coefficients`, and the variables
    have shape (n,) and are passed by name. Leading shapes broadcast: theta of shape (k, batch, 1) with
    N of shape (n,) gives a loss of shape (batch, n) and a gradient of shape (k, batch, n).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """One line: what it relates, and whose it is."""
    question: ClassVar[str]
    """What it answers; `scalescope laws` groups by it."""
    formula: ClassVar[str]
    """In plain text, such as `L = E + A/N^alpha + B/D^beta`."""
    variables: ClassVar[tuple[str, ...]]
    """Subset of ("N", "D", "C"), the keyword arguments of `loss`."""
    coefficients: ClassVar[tuple[str, ...]]
    positive: ClassVar[frozenset[str]]
    """Coefficients that are fitted as their logarithm, since they are scales and must stay positive."""
    bounds: ClassVar[Mapping[str, tuple[float, float]]]
    """Natural-unit limits that a fit keeps to; a fit that ends at one says so."""
    reference: ClassVar[str]
    caveats: ClassVar[tuple[str, ...]]
    published: ClassVar[Mapping[str, Published]]

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token."""
        ...

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative of the loss by each coefficient in natural units, stacked on the first axis."""
        ...

    def starts(self, loss: Array, **x: Array) -> Array:
        """Starting points for a fit to these runs, shape (n_starts, n_coefficients), natural units."""
        ...


LAWS: dict[str, Law] = {}

L = TypeVar("L", bound=type)


def register(cls: L) -> L:
    """Add a law to the registry; the contract tests then cover it."""
    law = cls()
    if law.name in LAWS:
        raise ValueError(f"two laws are called {law.name}")
    LAWS[law.name] = law
    return cls


def get_law(name: str) -> Law:
    """Look a law up by name.

    Raises
    ------
    InputError
        If there is none; the nearest names are suggested.
    """
    if name not in LAWS:
        raise InputError(f"no law is called {name!r}", hint=nearest(name, LAWS))
    return LAWS[name]
