"""Forecasts, allocation of compute, diagnosis of models, and the choice of the next run."""

from scalescope.planning.allocation import FACTORS, allocate, exponents, plan
from scalescope.planning.candidates import next_run
from scalescope.planning.diagnosis import diagnose, published_sets
from scalescope.planning.headline import choose_headline, forecast_held_out, with_measurement
from scalescope.planning.models import MODELS, Model, get_model
from scalescope.planning.prediction import forecast
from scalescope.planning.results import Advice, Allocation, Diagnosis, Forecast, NextRun, Penalty, Plan
from scalescope.planning.rules import RULES, Rule

__all__ = [
    "FACTORS",
    "MODELS",
    "RULES",
    "Advice",
    "Allocation",
    "Diagnosis",
    "Forecast",
    "Model",
    "NextRun",
    "Penalty",
    "Plan",
    "Rule",
    "allocate",
    "choose_headline",
    "diagnose",
    "exponents",
    "forecast",
    "forecast_held_out",
    "get_model",
    "next_run",
    "plan",
    "published_sets",
    "with_measurement",
]
