"""Scaling laws: formula, gradient, starts, source and published coefficients, one per file.

Every module of this package is imported, so that a new law is one new file.
"""

from importlib import import_module
from pkgutil import iter_modules

from scalescope.laws.base import (
    FAMILIES,
    LAWS,
    Coefficient,
    Law,
    Printed,
    Published,
    Variable,
    get_law,
    named,
    register,
)
from scalescope.laws.optimum import optimal_size

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "FAMILIES",
    "LAWS",
    "Coefficient",
    "Law",
    "Printed",
    "Published",
    "Variable",
    "get_law",
    "named",
    "optimal_size",
    "register",
]
