"""Pure arithmetic of an architecture and a machine: parameters, FLOP, bytes, memory, time, devices."""

from scalescope.cost.anatomy import Anatomy, AttentionLayers, Matrix, Positions, Side, Span
from scalescope.cost.shape import COUNTS, Count, Shape

__all__ = [
    "COUNTS",
    "Anatomy",
    "AttentionLayers",
    "Count",
    "Matrix",
    "Positions",
    "Shape",
    "Side",
    "Span",
]
