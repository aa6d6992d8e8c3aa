"""Pure arithmetic of an architecture: parameters, FLOP."""

from scalescope.cost.shape import COUNTS, Count, Shape

__all__ = ["COUNTS", "Count", "Shape"]
