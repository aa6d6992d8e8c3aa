"""One chart of a result, for a notebook or a picture file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scalescope.errors import InputError, nearest
from scalescope.fitting.approaches import Approaches
from scalescope.fitting.extrapolation import Extrapolation
from scalescope.fitting.profile import Profile
from scalescope.fitting.result import Fit
from scalescope.fitting.scores import Comparison
from scalescope.laws import Law, get_law
from scalescope.planning.results import Plan
from scalescope.points import Runs
from scalescope.reports.contents import Contents

if TYPE_CHECKING:
    import altair as alt

    from scalescope.reports.figures import Figure

WIDTH = 420
"""Pixels of one panel."""
CELL = 132
"""Pixels of one panel of a matrix."""
MOST_BESIDE = 3
"""Panels in a row."""

Result = (
    Fit | Plan | Runs | Contents | Comparison | Approaches | Extrapolation | Profile | Sequence[Profile] | Law
)
"""What can be drawn."""

OF_A_FIT = ("law", "residuals", "corner", "profiles", "optima")
"""Figures that a fit has."""


def plot(
    result: Result,
    *,
    runs: Runs | None = None,
    fit: Fit | None = None,
    figure: str = "",
    compute: float | None = None,
) -> alt.HConcatChart:
    """Draw a result.

    A fit is drawn against each of its axes, or as parabolas if that is what it is; its other figures are
    `residuals`, `corner` (its resamples), `profiles` (how far each coefficient can go) and `optima` (best
    size and tokens in every resample). A plan is drawn as best size and tokens against compute; a comparison
    as error against extrapolation; the approaches beside each other; an extrapolated curve with its forms;
    profiles as likelihood ratios; a law from published coefficients, else from plausible ones; runs as loss
    against compute and size.

    Parameters
    ----------
    result
        What to draw.
    runs
        The runs behind a fit, drawn as dots with it; its residuals and profiles need them.
    fit
        The fit behind a plan, drawn as its line.
    figure
        Which figure of a fit or of a report's contents; the first there is when empty.
    compute
        FLOP at which the optima of a fit are drawn; that of its dearest run and 10 and 100 times as much if
        not given.

    Returns
    -------
    altair.HConcatChart
        One or more panels with legends; `.save("figure.html")` needs nothing else, `.save("figure.png")` the
        extra `images`.

    Raises
    ------
    InputError
        If the result cannot be drawn or has no such figure.
    """
    return chart_of(_choose(result, runs, fit, figure, compute))


def draw_law(law: Law | str, coefficients: Mapping[str, float] | str | None = None) -> alt.HConcatChart:
    """Draw a law along each of its variables, without any data.

    Parameters
    ----------
    law
        Or its name, such as `chinchilla` or `data-mixing-3`.
    coefficients
        In natural units, or the name of a published set, or `examples`; the first verified published set,
        else the examples of the law, if not given.

    Raises
    ------
    InputError
        If the law, the set or a coefficient is not known.
    """
    from scalescope.reports.figures.laws import law_figure

    return chart_of(law_figure(get_law(law) if isinstance(law, str) else law, coefficients))


def chart_of(figure: Figure) -> alt.HConcatChart:
    """Lay the panels of a figure out as one chart that stands alone."""
    import altair as alt

    from scalescope.reports.figures import theme

    rows = _matrix(figure) if figure.columns else _flow(figure)
    settings = theme.config() | {"background": theme.PAPER.light}
    whole = rows[0] if len(rows) == 1 else alt.hconcat(alt.vconcat(*rows))
    chart: alt.HConcatChart = whole.configure(**settings)
    return chart


def _flow(figure: Figure) -> list[Any]:
    import altair as alt

    panels = [
        panel.chart.properties(width=WIDTH, title=panel.title or (figure.title if index == 0 else ""))
        for index, panel in enumerate(figure.panels)
    ]
    beside = MOST_BESIDE if len(panels) != 2 * (MOST_BESIDE - 1) else MOST_BESIDE - 1
    return [alt.hconcat(*panels[start : start + beside]) for start in range(0, len(panels), beside)]


def _matrix(figure: Figure) -> list[Any]:
    import altair as alt

    rows: dict[int, list[Any]] = {}
    for panel in figure.panels:
        if panel.place is not None:
            chart = panel.chart.properties(width=CELL, height=CELL)
            rows.setdefault(panel.place[0], []).append(chart)
    return [alt.hconcat(*cells, spacing=8) for _, cells in sorted(rows.items())]


def _choose(result: Result, runs: Runs | None, fit: Fit | None, figure: str, compute: float | None) -> Figure:
    from scalescope.reports.figures.approaches import approaches_figure
    from scalescope.reports.figures.extrapolations import extrapolation_figure
    from scalescope.reports.figures.holdouts import comparison_figure
    from scalescope.reports.figures.laws import law_figure
    from scalescope.reports.figures.optimum import allocation_figure
    from scalescope.reports.figures.overview import runs_figure
    from scalescope.reports.figures.profiles import profile_figure

    if isinstance(result, Contents):
        return _of_contents(result, figure)
    if isinstance(result, Fit):
        return _of_fit(result, runs, figure or "law", compute)
    if isinstance(result, Plan):
        return allocation_figure(result, fit, fit if fit is not None and fit.parabolas else None)
    makers: tuple[tuple[type, Callable[[Any], Figure]], ...] = (
        (Runs, runs_figure),
        (Comparison, comparison_figure),
        (Approaches, approaches_figure),
        (Extrapolation, extrapolation_figure),
        (Profile, profile_figure),
        (Law, law_figure),
    )
    for kind, make in makers:
        if isinstance(result, kind):
            return make(result)
    if isinstance(result, Sequence) and result and all(isinstance(one, Profile) for one in result):
        return profile_figure(result)
    raise InputError(
        f"cannot draw a {type(result).__name__}",
        hint="Give a Fit, Comparison, Approaches, Extrapolation, Profile, Plan, Runs, Contents or a law.",
    )


def _of_fit(fit: Fit, runs: Runs | None, name: str, compute: float | None) -> Figure:
    from scalescope.reports.figures import predictions
    from scalescope.reports.figures.corner import can_draw, corner_figure
    from scalescope.reports.figures.histories import fit_histories
    from scalescope.reports.figures.optima import optima_figure
    from scalescope.reports.figures.parabolas import parabola_figure
    from scalescope.reports.figures.profiles import profile_figure, profiles_of
    from scalescope.reports.figures.residuals import residual_figure
    from scalescope.reports.figures.scaling import fit_scaling
    from scalescope.reports.figures.slices import fit_slices
    from scalescope.reports.sections import is_of_curves

    if name not in OF_A_FIT:
        raise InputError(f"a fit has no figure {name!r}", hint=nearest(name, OF_A_FIT))
    if name in ("residuals", "profiles"):
        if runs is None:
            raise InputError(f"{name} need the runs behind the fit", hint="Give them as runs=.")
        return residual_figure(fit, runs) if name == "residuals" else profile_figure(profiles_of(fit, runs))
    if name == "corner":
        if not can_draw(fit):
            raise InputError("a corner plot needs resamples", hint="Fit again with resamples.")
        return corner_figure(fit)
    if name == "optima":
        return optima_figure(fit, () if compute is None else (compute,))
    if fit.parabolas:
        return parabola_figure(fit, runs)
    if predictions.has_frontier(fit):
        return fit_scaling(fit, runs)
    return fit_histories(fit, runs) if is_of_curves(get_law(fit.law)) else fit_slices(fit, runs)


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
