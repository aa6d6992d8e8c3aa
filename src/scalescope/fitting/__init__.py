"""Estimation: laws to runs, with intervals."""

from scalescope.fitting.budgets import Group, budget_groups
from scalescope.fitting.counting import exponent_by_count
from scalescope.fitting.criterion import Criterion, Prior, Restraints
from scalescope.fitting.ensemble import LAWS, SURFACES, fit_all
from scalescope.fitting.estimation import fit
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.point import best_coefficients, objective_at
from scalescope.fitting.rejection import Rejection, rejects
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.fitting.rolling import roll

__all__ = [
    "LAWS",
    "SURFACES",
    "Certificate",
    "Criterion",
    "Fit",
    "Group",
    "Holdout",
    "Parabola",
    "Prior",
    "Rejection",
    "Restraints",
    "best_coefficients",
    "budget_groups",
    "exponent_by_count",
    "fit",
    "fit_all",
    "objective_at",
    "rejects",
    "roll",
    "used_by",
]
