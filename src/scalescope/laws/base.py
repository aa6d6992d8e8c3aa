"""What a scaling law is to the rest of the program, and the registry of all of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, nearest
from scalescope.laws.designs import low_discrepancy, spread_over

Array = npt.NDArray[np.float64]
Scale = Literal["log", "raw"]

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "one-factor": "How does loss fall with one factor when nothing else binds?",
        "size-and-data": "How does loss fall with size and data together?",
        "allocation": "Which size and how many tokens are best for a compute budget?",
        "shape": "What do width, depth and the shape of a network change?",
        "limited-data": "What if data are few, repeated, filtered or from another domain?",
        "mixtures": "How should data be mixed?",
        "sparse": "What do experts and sparsity buy?",
        "precision": "What do precision, vocabulary and distillation change?",
        "settings": "Which learning rate and batch?",
        "curves": "How does one curve go on?",
        "downstream": "What does a loss mean for tasks?",
        "after-training": "What do reinforcement learning and repeated samples buy?",
        "modalities": "How do images, video and other modalities scale?",
    }
)
"""Family of a law to the question that it answers; `scalescope laws` and the docs are ordered by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What a law reads: a column of the table, and the range over which the law is drawn and tested."""

    column: str
    """Of `points.COLUMNS`, which has its unit; `params` stands for whatever the table counts as N."""
    low: float
    high: float
    """A typical range."""
    logarithmic: bool = True
    trend: Literal[-1, 0, 1] = 0
    """What the law promises all else equal: -1 the value never rises with it, 1 it never falls, 0 nothing."""
    meaning: str = ""
    """Where the column's own description says too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """What a law has fitted: its meaning, where it may lie, and a plausible value."""

    meaning: str
    example: float
    """A plausible value; those of one law fit together and to the ranges of its variables."""
    positive: bool = False
    """A scale that must stay above zero, so that it is fitted as its logarithm."""
    low: float | None = None
    high: float | None = None
    """Natural-unit limits that a fit keeps to; a fit that ends at one says so."""
    start: tuple[float, float] | None = None
    """Range that the standard starts cover; geometrically where `positive`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A number that a source derives from its own coefficients."""

    x: Mapping[str, float]
    value: float
    rtol: float
    """How many digits the source shows, as a relative tolerance."""


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
    """The data behind the fit: variable to (lowest, highest)."""
    printed: tuple[Printed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Coefficients that the paper of a law took from elsewhere and did not fit with the others."""

    published: str
    """Key of the law's published sets that has their values."""
    coefficients: tuple[str, ...]


class Law(ABC):
    """A formula and all that fitting it needs.  Stateless; one per file.

    Everywhere `theta` has shape (n_coefficients, ...) in the order of `coefficients`, and the variables
    have shape (n,) and are passed by name. Leading shapes broadcast: theta of shape (k, batch, 1) with
    variables of shape (n,) gives a value of shape (batch, n) and a gradient of shape (k, batch, n).
    """

    name: str
    title: str
    """One line: what it relates, and whose it is."""
    family: str
    """A key of `FAMILIES`."""
    formula: str
    """In plain text, such as `L = E + A/N^alpha + B/D^beta`."""
    variables: Mapping[str, Variable]
    """Letter in the formula to what it is; the letters are the keyword arguments of `value`."""
    coefficients: Mapping[str, Coefficient]
    target: str = "loss"
    """Column that it predicts."""
    scale: Scale = "log"
    """Whether a fit compares logarithms or the values themselves unless told otherwise."""
    linear: tuple[str, ...] = ()
    """Coefficients in which the value is linear (plus at most a constant) while the others stay."""
    held: Held | None = None
    """What its paper held fixed; a fit of all coefficients says what that convention would leave open."""
    count: str = "params"
    """What N counts in the paper; a table that counts otherwise is told so."""
    reference: str
    caveats: tuple[str, ...] = ()
    published: Mapping[str, Published] = MappingProxyType({})

    @abstractmethod
    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted target in the unit of its column."""

    @abstractmethod
    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative of the value by each coefficient in natural units, stacked on the first axis."""

    def value_and_gradient(self, theta: Array, **x: Array) -> tuple[Array, Array]:
        """Both at once; a law overrides it where they share costly parts, since a fit always needs both."""
        return self.value(theta, **x), self.gradient(theta, **x)

    def __init_subclass__(cls) -> None:
        # A law that replaces a formula it inherits must not keep the fused form of the old one.
        own = vars(cls)
        if ("value" in own or "gradient" in own) and "value_and_gradient" not in own:
            cls.value_and_gradient = Law.value_and_gradient  # type: ignore[method-assign]

    def starts(self, target: Array, **x: Array) -> Array:
        """Starting points for a fit to these data, shape (n_starts, n_coefficients), natural units.

        Unless a law knows better: the non-linear coefficients spread evenly over their `start` ranges, the
        linear ones solved for by least squares (of relative residuals where the scale is log).
        """
        return standard_starts(self, target, x)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Values of the variables, each of shape (about n,), that settle every coefficient."""
        ranges = {name: (one.low, one.high, one.logarithmic) for name, one in self.variables.items()}
        return spread_over(ranges, n)

    def sized(self, number: int) -> Law:
        """Return the law with another number of domains, breaks or the like, where it has one.

        Raises
        ------
        InputError
            If the law has no such number.
        """
        raise InputError(f"{self.name} has no number, got {number}", hint=f"Write {self.name}.")

    @property
    def is_surface(self) -> bool:
        """Whether it is a loss that weighs size against data or compute, so that it has a best size."""
        return self.target == "loss" and set(self.variables) in ({"N", "D"}, {"N", "C"})

    @property
    def question(self) -> str:
        """What it answers."""
        return FAMILIES[self.family]

    @property
    def examples(self) -> Array:
        """Plausible coefficients as a vector, shape (n_coefficients,)."""
        return np.array([one.example for one in self.coefficients.values()])

    def bounds(self) -> tuple[Array, Array]:
        """Natural-unit limits of every coefficient, shape (n_coefficients,) each; infinite where open."""
        every = self.coefficients.values()
        low = [one.low if one.low is not None else 0.0 if one.positive else -np.inf for one in every]
        high = [one.high if one.high is not None else np.inf for one in every]
        return np.array(low), np.array(high)

    def place(self, *names: str) -> tuple[int, ...]:
        """Positions of coefficients in `theta`."""
        order = list(self.coefficients)
        return tuple(order.index(name) for name in names)


T = TypeVar("T")


def named(**items: T) -> Mapping[str, T]:
    """Write a table of variables or coefficients in the body of a class."""
    return MappingProxyType(items)


def standard_starts(law: Law, target: Array, x: Mapping[str, Array], n: int = 48) -> Array:
    """Spread the non-linear coefficients evenly and solve for the linear ones; see `Law.starts`."""
    low, high = law.bounds()
    free = [name for name in law.coefficients if name not in law.linear]
    theta = np.tile(law.examples, (n if free else 1, 1))
    for column, name in enumerate(free):
        one = law.coefficients[name]
        at = low_discrepancy(len(theta), column)
        first, last = one.start or (one.example / 4, one.example * 4)
        if one.positive:
            theta[:, law.place(name)[0]] = np.exp(np.log(first) + at * (np.log(last) - np.log(first)))
        else:
            theta[:, law.place(name)[0]] = first + at * (last - first)
    if law.linear:
        theta[:, list(law.place(*law.linear))] = solve_linear(law, theta, target, x)
    inside = np.clip(theta, low, high)
    return np.asarray(inside[np.isfinite(inside).all(axis=1)])


def solve_linear(law: Law, theta: Array, target: Array, x: Mapping[str, Array]) -> Array:
    """Least squares for the linear coefficients at every row of `theta`, shape (batch, n_linear).

    Coefficients that must be positive but come out otherwise are set to a thousandth of what would carry the
    whole target alone.
    """
    places = list(law.place(*law.linear))
    zeroed = theta.T.copy()[:, :, None]
    zeroed[places] = 0.0
    weight = 1 / np.abs(target) if law.scale == "log" else np.ones_like(target)
    out = np.empty((len(theta), len(places)))
    positive = np.array([law.coefficients[name].positive for name in law.linear])
    with np.errstate(all="ignore"):
        constant = law.value(zeroed, **x)
        basis = law.gradient(theta.T[:, :, None], **x)[places] * weight
        wanted = (target - np.where(np.isfinite(constant), constant, 0.0)) * weight
    for row in range(len(theta)):
        columns = basis[:, row].T
        size = np.sqrt((columns**2).mean(axis=0))
        if not np.isfinite(size).all() or not (size > 0).all():
            out[row] = theta[row, places]
            continue
        solved = np.linalg.lstsq(columns / size, wanted[row], rcond=1e-10)[0] / size
        least = 1e-3 * np.abs(wanted[row]).mean() / size
        out[row] = np.where(positive & (solved < least), least, solved)
    return out


LAWS: dict[str, Law] = {}

L = TypeVar("L", bound=type[Law])


def register(cls: L) -> L:
    """Add a law to the registry; the contract tests then cover it."""
    law = cls()
    if law.name in LAWS:
        raise ValueError(f"two laws are called {law.name}")
    LAWS[law.name] = law
    return cls


def get_law(name: str) -> Law:
    """Look a law up by name; `data-mixing-3` is `data-mixing` with three domains.

    Raises
    ------
    InputError
        If there is none; the nearest names are suggested.
    """
    if name in LAWS:
        return LAWS[name]
    numbered = re.fullmatch(r"(.+)-([1-9][0-9]?)", name)
    if numbered and numbered[1] in LAWS:
        return LAWS[numbered[1]].sized(int(numbered[2]))
    raise InputError(f"no law is called {name!r}", hint=nearest(name, LAWS))
