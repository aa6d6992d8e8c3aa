"""One curve carried beyond its end: forms, their average, and an interval."""

from scalescope.fitting.extrapolation.estimation import extrapolate
from scalescope.fitting.extrapolation.result import Extrapolation, FormFit

__all__ = ["Extrapolation", "FormFit", "extrapolate"]
