"""What a law reads from a table: its variables and its target, under the letters of the formula."""

from __future__ import annotations

from scalescope.laws import Law
from scalescope.points import Array, Runs


def variables_of(law: Law, runs: Runs) -> dict[str, Array]:
    """Return the columns that a law reads, under the names of its formula, each of shape (n_runs,).

    Raises
    ------
    InputError
        If the table lacks one.
    """
    return {name: column_of(runs, one.column) for name, one in law.variables.items()}


def target_of(law: Law, runs: Runs) -> Array:
    """Return the column that a law predicts, shape (n_runs,).

    Raises
    ------
    InputError
        If the table lacks it.
    """
    return column_of(runs, law.target)


def column_of(runs: Runs, column: str) -> Array:
    """Return a column; `params` is whatever the table counts as N."""
    return runs.size if column == "params" else runs[column]
