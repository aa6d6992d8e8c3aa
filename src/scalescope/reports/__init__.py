"""Figures, tables and the one-file report made of them.

altair and jinja2 are imported when something is drawn or written, not with this package.
"""

from scalescope.reports.contents import Contents, Curve
from scalescope.reports.page import render, report
from scalescope.reports.plotting import draw_law, plot

__all__ = ["Contents", "Curve", "draw_law", "plot", "render", "report"]
