"""What must be true of a table before a law is fitted to it."""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.clusters import setting_labels
from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.inputs import column_of, target_of
from scalescope.fitting.suitability import absent_columns, whole_rows
from scalescope.laws import LAWS, Law
from scalescope.points import Finding, Runs

WORDS = {"params": "size", "tokens": "token count", "compute": "compute"}
"""Column to what one of its values is called."""
MOST_NAMED = 12
"""Laws that a message names, at most."""


def check_options(resamples: int, level: float, seed: int = 0) -> None:
    """Refuse options that mean nothing.

    Raises
    ------
    InputError
        If there are fewer than 0 resamples, the level is not between 0 and 1, or the seed is below 0.
    """
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}", hint="0 is the usual seed.")
    if resamples < 0:
        raise InputError(f"resamples must be 0 or more, got {resamples}", hint="300 is a good number.")
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}", hint="0.9 means 90% intervals.")


def usable_rows(
    form: Law, runs: Runs, criterion: Criterion, restraints: Restraints
) -> tuple[Runs, tuple[Finding, ...]]:
    """Return the rows that a fit of the law may use, and what was left out.

    Raises
    ------
    InputError
        If the table lacks a column of the law, too few rows remain, a variable does not vary, or a target
        has no logarithm.
    """
    _require_columns(form, runs)
    free = runs.fitted()
    whole = whole_rows(form, free)
    findings: tuple[Finding, ...] = ()
    if not whole.all():
        text = f"{int((~whole).sum())} of {len(free)} rows lack a value that {form.name} needs."
        findings = (Finding(code="FIT017", text=text, hint="They are not used."),)
        free = free.select(whole)
    _require_rows(form, free, restraints)
    _require_variety(form, free, restraints)
    _require_logarithms(form, free, criterion)
    return free, findings


def _require_columns(form: Law, runs: Runs) -> None:
    missing = absent_columns(form, runs)
    if not missing:
        return
    fitting = [name for name, one in LAWS.items() if not absent_columns(one, runs)]
    rest = len(fitting) - MOST_NAMED
    shown = ", ".join(fitting[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    raise InputError(
        f"{form.name} needs {' and '.join(missing)}, and the table has {', '.join(runs.columns)}",
        hint=f"Map a column by name, or fit one of these laws: {shown}."
        if fitting
        else "Map the columns by name, such as theirs=loss.",
    )


def _require_rows(form: Law, runs: Runs, restraints: Restraints) -> None:
    tied = sum(len(group) - 1 for group in restraints.tied)
    n_free = max(len(form.coefficients) - len(restraints.fixed) - tied, 1)
    if len(runs) >= n_free + 2:
        return
    what = "coefficients" if n_free == len(form.coefficients) else "free coefficients"
    raise InputError(
        f"{form.name} has {n_free} {what} and needs at least {n_free + 2} runs, got {len(runs)}",
        hint="Add runs or choose a law with fewer coefficients.",
    )


def _require_variety(form: Law, runs: Runs, restraints: Restraints) -> None:
    if restraints.fixed:
        return
    for name, one in form.variables.items():
        column = column_of(runs, one.column)
        alike = np.ptp(column) == 0 if not one.logarithmic else setting_labels(column).max() == 0
        if alike:
            word = WORDS.get(one.column, f"value of {one.column}")
            raise InputError(
                f"all {len(runs)} runs are at one {word}, {name} = {column[0]:g}; "
                f"{form.name} needs at least two",
                hint=f"Train at another {word}, or fit a law without {name}.",
            )


def _require_logarithms(form: Law, runs: Runs, criterion: Criterion) -> None:
    target = target_of(form, runs)
    if (criterion.scale or form.scale) == "log" and not (target > 0).all():
        raise InputError(
            f"{int((target <= 0).sum())} of {len(target)} values of {form.target} are not above zero and "
            "have no logarithm",
            hint='Fit the values themselves: Criterion(scale="raw"), or --scale raw.',
        )
