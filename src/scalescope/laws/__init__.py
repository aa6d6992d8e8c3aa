"""Scaling laws: formula, gradient, starts, source and published coefficients, one per file."""

from scalescope.laws import chinchilla, isoflop, kaplan, loss_compute, loss_data, loss_size  # noqa: F401  (registers)
from scalescope.laws.base import LAWS, Law, Published, get_law, register
from scalescope.laws.optimum import optimal_size

__all__ = ["LAWS", "Law", "Published", "get_law", "optimal_size", "register"]
