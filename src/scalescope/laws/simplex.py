"""Shares of domains: which columns hold them, and mixtures that fill the simplex evenly."""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError
from scalescope.laws.base import Array, Variable
from scalescope.laws.designs import low_discrepancy

MOST = 8
"""Domains that a table has columns for: share_1 to share_8."""


def check_domains(law: str, number: int, least: int = 2) -> None:
    """Refuse a number of domains that a table cannot hold.

    Raises
    ------
    InputError
        If the number is below `least` or above `MOST`.
    """
    if not least <= number <= MOST:
        raise InputError(
            f"{law} has {least} to {MOST} domains, got {number}",
            hint=f"Merge domains, or write {law}-{min(max(number, least), MOST)}.",
        )


def share_variables(letter: str, number: int) -> dict[str, Variable]:
    """Return the share of every domain as a variable, `letter` with its number."""
    return {
        f"{letter}{i}": Variable(column=f"share_{i}", low=0.0, high=1.0, logarithmic=False)
        for i in range(1, number + 1)
    }


def mixtures(n: int, number: int, skip: int = 0) -> Array:
    """Return n mixtures of `number` domains, shape (number, n), each summing to one.

    Even over the simplex: exponential spacings of a low-discrepancy sequence, whose first `skip` columns are
    left to other variables.
    """
    at = np.array([low_discrepancy(n, skip + column) for column in range(number)])
    spacing = -np.log(at)
    return np.asarray(spacing / spacing.sum(axis=0))
