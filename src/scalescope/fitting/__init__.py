"""Estimation: laws to runs, with intervals."""

from scalescope.fitting.approaches import Approaches, approaches
from scalescope.fitting.budgets import Group, budget_groups
from scalescope.fitting.comparison import compare
from scalescope.fitting.counting import exponent_by_count
from scalescope.fitting.covariance import Covariance, covariance
from scalescope.fitting.criterion import Criterion, Prior, Restraints
from scalescope.fitting.derived import Optimum, derive, optimum
from scalescope.fitting.ensemble import LAWS, SURFACES, fit_all
from scalescope.fitting.envelope import Envelope, envelope
from scalescope.fitting.estimation import fit
from scalescope.fitting.extrapolation import Extrapolation, extrapolate
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.identify import Identification, identify
from scalescope.fitting.isoflop_bias import IsoflopBias, isoflop_bias
from scalescope.fitting.multipliers import Multipliers, compute_multipliers
from scalescope.fitting.observational import find_components, fit_families
from scalescope.fitting.point import best_coefficients, objective_at
from scalescope.fitting.profile import Profile, profile
from scalescope.fitting.rejection import Rejection, rejects
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.fitting.rolling import roll
from scalescope.fitting.scores import Comparison, Score, Stack
from scalescope.fitting.suitability import Suitability, suitable
from scalescope.fitting.two_step import TwoStep, two_step

__all__ = [
    "LAWS",
    "SURFACES",
    "Approaches",
    "Certificate",
    "Comparison",
    "Covariance",
    "Criterion",
    "Envelope",
    "Extrapolation",
    "Fit",
    "Group",
    "Holdout",
    "Identification",
    "IsoflopBias",
    "Multipliers",
    "Optimum",
    "Parabola",
    "Prior",
    "Profile",
    "Rejection",
    "Restraints",
    "Score",
    "Stack",
    "Suitability",
    "TwoStep",
    "approaches",
    "best_coefficients",
    "budget_groups",
    "compare",
    "compute_multipliers",
    "covariance",
    "derive",
    "envelope",
    "exponent_by_count",
    "extrapolate",
    "find_components",
    "fit",
    "fit_all",
    "fit_families",
    "identify",
    "isoflop_bias",
    "objective_at",
    "optimum",
    "profile",
    "rejects",
    "roll",
    "suitable",
    "two_step",
    "used_by",
]
