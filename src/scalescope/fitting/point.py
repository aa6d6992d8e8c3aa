"""Coefficients alone, and objectives at given coefficients: no intervals, no checks of the design."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law
from scalescope.points import Array


def best_coefficients(
    law: str,
    target: Array,
    x: Mapping[str, Array],
    criterion: Criterion = HUBER,
    restraints: Restraints = FREE,
) -> Array:
    """Return the coefficients that minimise the criterion, shape (n_coefficients,), natural units.

    Parameters
    ----------
    law
        Name of the law.
    target, x
        What it predicts and what it reads, by the letters of its formula, shape (n,) each; at least as many
        rows as free coefficients.

    Raises
    ------
    FitError
        If no start reached a finite objective.
    """
    objective = Objective(law=get_law(law), x=dict(x), criterion=criterion, restraints=restraints)
    return find_optimum(objective, target).theta


def objective_at(
    law: str,
    coefficients: Mapping[str, float],
    target: Array,
    x: Mapping[str, Array],
    criterion: Criterion = HUBER,
) -> float:
    """Return the criterion at given coefficients, such as published ones.

    Raises
    ------
    InputError
        If they are not the coefficients of the law.
    """
    form = get_law(law)
    if tuple(coefficients) != tuple(form.coefficients):
        raise InputError(
            f"{law} has the coefficients {', '.join(form.coefficients)}, got {', '.join(coefficients)}",
            hint="Give all of them, in this order.",
        )
    objective = Objective(law=form, x=dict(x), criterion=criterion)
    phi = objective.fitted(np.array([list(coefficients.values())]))
    residuals = objective.transform(target) - objective.predicted(phi)
    return float(objective.value(residuals, np.ones_like(residuals))[0])
