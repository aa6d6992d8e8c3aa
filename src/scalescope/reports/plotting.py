"""One chart of a result, for a notebook or a picture file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.errors import InputError, nearest
from scalescope.fitting.result import Fit
from scalescope.planning.results import Plan
from scalescope.points import Runs
from scalescope.reports.contents import Contents

if TYPE_CHECKING:
    import altair as alt

    from scalescope.reports.figures import Figure

WIDTH = 420
"""Pixels of one panel."""


def plot(
    result: Fit | Plan | Runs | Contents,
    *,
    runs: Runs | None = None,
    fit: Fit | None = None,
    figure: str = "",
) -> alt.HConcatChart:
    """Draw a result.

    A fit is drawn along its own variable, or as parabolas if that is what it is; a plan as best size and
    tokens against compute; runs as loss against compute and size.

    Parameters
    ----------
    result
        What to draw.
    runs
        The runs behind a fit, drawn as dots with it.
    fit
        The fit behind a plan, drawn as its line.
    figure
        Which figure of a report's contents; the first there is when empty.

    Returns
    -------
    altair.HConcatChart
        One or more panels side by side, with legends; `.save("figure.png")` needs the extra `images`.

    Raises
    ------
    InputError
        If the result cannot be drawn or has no such figure.
    """
    import altair as alt

    from scalescope.reports.figures import theme

    chosen = _choose(result, runs, fit, figure)
    panels = [
        panel.chart.properties(width=WIDTH, title=panel.title or chosen.title) for panel in chosen.panels
    ]
    settings = theme.config() | {"background": theme.PAPER.light}
    chart: alt.HConcatChart = alt.hconcat(*panels).configure(**settings)
    return chart


def _choose(result: Fit | Plan | Runs | Contents, runs: Runs | None, fit: Fit | None, figure: str) -> Figure:
    from scalescope.reports.figures.optimum import allocation_figure
    from scalescope.reports.figures.overview import runs_figure
    from scalescope.reports.figures.parabolas import parabola_figure
    from scalescope.reports.figures.scaling import fit_scaling

    if isinstance(result, Contents):
        return _of_contents(result, figure)
    if isinstance(result, Fit):
        return parabola_figure(result, runs) if result.parabolas else fit_scaling(result, runs)
    if isinstance(result, Plan):
        return allocation_figure(result, fit, fit if fit is not None and fit.parabolas else None)
    if isinstance(result, Runs):
        return runs_figure(result)
    raise InputError(f"cannot draw a {type(result).__name__}", hint="Give a Fit, a Plan, Runs or Contents.")


def _of_contents(contents: Contents, name: str) -> Figure:
    from scalescope.reports.figures import FIGURES

    if name and name not in FIGURES:
        raise InputError(f"no figure is called {name!r}", hint=nearest(name, FIGURES))
    for key in [name] if name else FIGURES:
        drawn = FIGURES[key](contents)
        if drawn is not None:
            return drawn
    there = [key for key, draw in FIGURES.items() if draw(contents) is not None]
    raise InputError(
        f"these contents have nothing for the figure {name!r}", hint=f"They have: {', '.join(there)}."
    )
