"""Estimation: laws to runs, with intervals."""

from scalescope.fitting.budgets import Group, budget_groups
from scalescope.fitting.counting import exponent_by_count
from scalescope.fitting.criterion import Criterion, Prior, Restraints
from scalescope.fitting.ensemble import LAWS, SURFACES, fit_all
from scalescope.fitting.estimation import fit
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
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
    "Restraints",
    "budget_groups",
    "exponent_by_count",
    "fit",
    "fit_all",
    "roll",
    "used_by",
]
