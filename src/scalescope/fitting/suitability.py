"""Which laws a table can be fitted with, and what the others lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.fitting.clusters import setting_labels
from scalescope.fitting.inputs import target_of, variables_of
from scalescope.laws import LAWS, Law
from scalescope.points import Runs

ONE_CURVE = "curves"
"""Family of the laws for a single curve; they are compared by extrapolating that curve, not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """Which laws fit a table."""

    target: str
    """Column that the laws predict."""
    laws: tuple[str, ...]
    """Those that fit, in the order of the registry."""
    missing: Mapping[str, tuple[str, ...]]
    """Law to the columns that the table lacks."""
    unfit: Mapping[str, str]
    """Law whose columns are there to why it still cannot be fitted."""

    def summary(self) -> str:
        """What fits, then what each other law lacks, fewest columns first."""
        lines = [f"fit this table: {', '.join(self.laws) or 'none'}"]
        lines += [f"  {law} cannot be fitted: {why}" for law, why in self.unfit.items()]
        order = sorted(self.missing, key=lambda law: (len(self.missing[law]), law))
        lines += [f"  {law} needs {', '.join(self.missing[law])}" for law in order]
        return "\n".join(lines)


def suitable(runs: Runs, target: str = "loss") -> Suitability:
    """Sort the laws that predict a column by whether the table can be fitted with them.

    Parameters
    ----------
    runs
        Held-out rows do not count.
    target
        Column that the laws predict.
    """
    free = runs.fitted()
    laws: list[str] = []
    missing: dict[str, tuple[str, ...]] = {}
    unfit: dict[str, str] = {}
    for name, form in LAWS.items():
        if form.target != target or form.family == ONE_CURVE:
            continue
        absent = absent_columns(form, free)
        if absent:
            missing[name] = absent
            continue
        why = reason_against(form, free)
        if why:
            unfit[name] = why
        else:
            laws.append(name)
    return Suitability(target=target, laws=tuple(laws), missing=missing, unfit=unfit)


def absent_columns(form: Law, runs: Runs) -> tuple[str, ...]:
    """Columns that a law reads or predicts and the table lacks; `params` is whatever it counts as N."""
    wanted = dict.fromkeys((*(one.column for one in form.variables.values()), form.target))
    return tuple(column for column in wanted if (runs.count if column == "params" else column) not in runs)


def whole_rows(form: Law, runs: Runs) -> npt.NDArray[np.bool_]:
    """Rows that have every number a law needs, shape (n_runs,)."""
    whole = np.isfinite(target_of(form, runs))
    for column in variables_of(form, runs).values():
        whole &= np.isfinite(column)
    return np.asarray(whole)


def reason_against(form: Law, runs: Runs, *, spare: int = 2) -> str:
    """Why a table with the columns of a law still cannot determine it; empty where it can.

    `spare` is how many runs there must be beyond the coefficients.
    """
    rows = runs.select(whole_rows(form, runs))
    needed = len(form.coefficients) + spare
    if len(rows) < needed:
        return f"it needs {needed} runs, and {len(rows)} have all its columns"
    target = target_of(form, rows)
    if form.scale == "log" and not (target > 0).all():
        return f"{form.target} is not above zero everywhere"
    for letter, column in variables_of(form, rows).items():
        varied = setting_labels(column).max() > 0 if (column > 0).all() else np.ptp(column) > 0
        if not varied:
            return f"{form.variables[letter].column} is the same in every run"
    return ""
