"""Scaling laws: formula, gradient, starts, source and published coefficients, one per file."""

from scalescope.laws import chinchilla  # noqa: F401  (registers)
from scalescope.laws.base import LAWS, Law, Published, get_law, register

__all__ = ["LAWS", "Law", "Published", "get_law", "register"]
