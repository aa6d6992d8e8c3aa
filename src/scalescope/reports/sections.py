"""A law along one variable while the others are held: what the drawings of any law are made of.

Shares of domains sum to one, so where one of them moves the others keep their ratio; unique data never exceed
all data; the points of a training curve stay in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.laws import Law, Published
from scalescope.points import Array

PLAIN = ("params", "params_nonembedding", "params_active", "tokens", "compute")
"""Columns that many laws read; what else a law of three or more variables reads is what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Where a law is evaluated: one variable runs, the others are held."""

    along: str
    """Letter of the variable that runs."""
    at: Mapping[str, Array]
    """Every variable of the law, base units, shape (n,) each."""
    held: Mapping[str, float]
    """Letter to value of those that do not move."""

    @property
    def x(self) -> Array:
        """Values of the variable that runs, shape (n,)."""
        return self.at[self.along]


def is_share(law: Law, letter: str) -> bool:
    """Whether a variable is the share of a domain, so that it and others sum to one."""
    return law.variables[letter].column.startswith("share_")


def is_of_curves(law: Law) -> bool:
    """Whether a law reads whole training curves, a row a point."""
    return any(one.column == "curve" for one in law.variables.values())


def section(law: Law, along: str, grid: Array, others: Mapping[str, float]) -> Section:
    """Move one variable over `grid`, hold the others, letter to value, and leave out what cannot be."""
    at = placed(law, along, grid, others)
    kept = possible(law, at)
    shares = [letter for letter in law.variables if is_share(law, along) and is_share(law, letter)]
    return Section(
        along=along,
        at={letter: column[kept] for letter, column in at.items()},
        held={letter: others[letter] for letter in law.variables if letter not in (along, *shares)},
    )


def placed(law: Law, along: str, grid: Array, others: Mapping[str, float]) -> dict[str, Array]:
    """Every variable where one of them takes the values of `grid`, shape (n,) each."""
    at = {letter: np.full(len(grid), others[letter]) for letter in law.variables if letter != along}
    if is_share(law, along):
        rest = [letter for letter in at if is_share(law, letter)]
        total = sum(others[letter] for letter in rest)
        for letter in rest:
            at[letter] = (1 - grid) * (others[letter] / total if total > 0 else 1 / len(rest))
    at[along] = grid
    return {letter: at[letter] for letter in law.variables}


def possible(law: Law, at: Mapping[str, Array]) -> Array:
    """Which rows can be, shape (n,): unique data do not exceed all data."""
    letters = {one.column: letter for letter, one in law.variables.items()}
    kept = np.ones(len(next(iter(at.values()))), dtype=np.bool_)
    for column, letter in letters.items():
        whole = letters.get(column.removesuffix("_unique"))
        if column.endswith("_unique") and whole is not None:
            kept &= at[letter] <= at[whole] * (1 + 1e-9)
    return np.asarray(kept)


def spread(law: Law, letter: str, n: int, published: Published | None = None) -> Array:
    """Spread `n` values of a variable over its typical range, or over that of published data."""
    one = law.variables[letter]
    low, high = published.ranges.get(letter, (one.low, one.high)) if published else (one.low, one.high)
    return steps((low, high), n, logarithmic=one.logarithmic)


def steps(span: tuple[float, float], n: int, *, logarithmic: bool) -> Array:
    """Return `n` values from one end of a span to the other, at equal ratios or at equal distances."""
    low, high = span
    spaced = np.geomspace(low, high, n) if logarithmic and low > 0 else np.linspace(low, high, n)
    return np.asarray(spaced, dtype=np.float64)


def middle(law: Law, published: Published | None = None) -> dict[str, float]:
    """Middle of every variable's range; shares of domains are equal."""
    values = {letter: float(spread(law, letter, 3, published)[1]) for letter in law.variables}
    shares = [letter for letter in law.variables if is_share(law, letter)]
    return values | {letter: 1 / len(shares) for letter in shares}


def medians(law: Law, at: Mapping[str, Array]) -> dict[str, float]:
    """Median of every variable of a table, nan left out; of shares the mean, since means sum to one."""
    return {
        letter: float(np.nanmean(column) if is_share(law, letter) else np.nanmedian(column))
        for letter, column in at.items()
    }


def chosen_set(law: Law) -> tuple[str, Published | None]:
    """Return name and coefficients of what a law is drawn from.

    The first verified published set, else the first published one, else none: then its examples serve.
    """
    verified = [name for name, one in law.published.items() if one.verified]
    for name in (*verified, *law.published):
        return name, law.published[name]
    return "examples", None


def by_interest(law: Law) -> list[str]:
    """Letters of the variables, first those that the law is about."""
    order = list(law.variables)
    if len(order) < 3:
        return order
    own = [letter for letter in order if law.variables[letter].column not in PLAIN]
    return [*own, *_others(order, own)]


def _others(order: Iterable[str], known: Iterable[str]) -> list[str]:
    seen = set(known)
    return [letter for letter in order if letter not in seen]


def beside(law: Law, along: str) -> str | None:
    """Letter of the variable that lines are drawn at a few values of, when another runs.

    Unique data belong beside all data; else the first other variable that is no share.
    """
    letters = {one.column: letter for letter, one in law.variables.items()}
    column = law.variables[along].column
    for other in (f"{column}_unique", column.removesuffix("_unique")):
        if other != column and other in letters:
            return letters[other]
    rest = [letter for letter in by_interest(law) if letter != along and not is_share(law, letter)]
    return rest[0] if rest else None
