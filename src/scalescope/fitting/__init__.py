"""Estimation: laws to runs, with intervals."""

from scalescope.fitting.approaches import Approaches, approaches
from scalescope.fitting.budgets import Group, budget_groups
from scalescope.fitting.comparison import compare
from scalescope.fitting.counting import exponent_by_count
from scalescope.fitting.criterion import Criterion, Prior, Restraints
from scalescope.fitting.ensemble import LAWS, SURFACES, fit_all
from scalescope.fitting.envelope import Envelope, envelope
from scalescope.fitting.estimation import fit
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.isoflop_bias import IsoflopBias, isoflop_bias
from scalescope.fitting.point import best_coefficients, objective_at
from scalescope.fitting.rejection import Rejection, rejects
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.fitting.rolling import roll
from scalescope.fitting.scores import Comparison, Score, Stack
from scalescope.fitting.suitability import Suitability, suitable

__all__ = [
    "LAWS",
    "SURFACES",
    "Approaches",
    "Certificate",
    "Comparison",
    "Criterion",
    "Envelope",
    "Fit",
    "Group",
    "Holdout",
    "IsoflopBias",
    "Parabola",
    "Prior",
    "Rejection",
    "Restraints",
    "Score",
    "Stack",
    "Suitability",
    "approaches",
    "best_coefficients",
    "budget_groups",
    "compare",
    "envelope",
    "exponent_by_count",
    "fit",
    "fit_all",
    "isoflop_bias",
    "objective_at",
    "rejects",
    "roll",
    "suitable",
    "used_by",
]
