"""Corner plot: the resamples of a fit, every pair of coefficients against each other.

A long thin cloud is a pair that trade off: the runs know a combination of them better than either.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity, plain_number
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name, number, shown, three_digits
from scalescope.units import format_count

MOST = 8
"""Coefficients drawn; the rest are in the table of coefficients."""
MOST_POINTS = 150
"""Resamples drawn; the intervals are those of all."""
BINS = 16
WIDE = 20.0
"""Highest over lowest beyond which the axis of a positive coefficient is logarithmic."""
_KEPT = 0.98
"""Share of the resamples that the axes span; runaways would leave the rest a dot."""
CELL = 118


def resample_corner(contents: Contents) -> Figure | None:
    """Corner plot of the headlined law; None without resamples of two coefficients."""
    fit = contents.fits.get(contents.headline)
    return None if fit is None or not can_draw(fit) else corner_figure(fit)


def can_draw(fit: Fit) -> bool:
    """Whether at least two coefficients vary over the resamples."""
    return len(moving(fit)) > 1


def moving(fit: Fit) -> list[int]:
    """Places of the coefficients that vary over the resamples, the first `MOST`."""
    if len(fit.resamples) < 2:
        return []
    drawn = []
    for index in range(fit.resamples.shape[1]):
        column = fit.resamples[:, index]
        finite = column[np.isfinite(column)]
        if finite.size and np.ptp(finite) > 1e-9 * abs(finite[0]):
            drawn.append(index)
    return drawn[:MOST]


def corner_figure(fit: Fit) -> Figure:
    """Draw a fit's resamples as a matrix of panels, histograms on its diagonal."""
    every, places = list(fit.coefficients), moving(fit)
    columns = {f"c{index}": fit.resamples[:, index] for index in places}
    axis = {f"c{i}": _axis(fit, every[i], fit.resamples[:, i]) for i in places}
    kept = _thinned(len(fit.resamples))
    rows: list[Row] = [{name: float(column[i]) for name, column in columns.items()} for i in kept]
    rows = [row for row in rows if all(np.isfinite(value) for value in row.values())]
    best = {name: float(fit.theta[int(name[1:])]) for name in columns}
    points, optimum = marks.data(rows), marks.data([best])
    panels = []
    for row, down in enumerate(columns):
        for column, across in enumerate(list(columns)[: row + 1]):
            chart = (
                _histogram(columns[across], across, axis[across], best[across], fit)
                if row == column
                else _cloud(points, optimum, (across, down), axis)
            )
            panels.append(
                Panel(
                    title="",
                    chart=_trimmed(chart, last=row == len(columns) - 1, first=column == 0),
                    label=_label(every[int(across[1:])], every[int(down[1:])]),
                    place=(row, column),
                )
            )
    return Figure(
        name="corner",
        title="How the coefficients hang together",
        caption=f"{law_name(fit.law)}: a dot for each of {len(rows)} of the {len(fit.resamples)} resamples "
        "behind the intervals. A long thin cloud is a pair that the runs cannot tell apart.",
        panels=tuple(panels),
        keys=(
            Key(kind="cloud", label="resample", colour=theme.HOFFMANN),
            Key(kind="minimum", label="optimum", colour=theme.INK),
            Key(kind="band", label="interval of the coefficient", colour=theme.INK),
        ),
        table=_table(fit, places),
    )


def _thinned(n: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, n - 1, min(n, MOST_POINTS)).tolist()})


def _axis(fit: Fit, name: str, column: Array) -> tuple[Quantity, axes.Domain]:
    """Axis of one coefficient, over most of its resamples, its optimum and its interval."""
    estimate = fit.coefficients[name]
    finite = column[np.isfinite(column)]
    ends = np.quantile(finite, [(1 - _KEPT) / 2, (1 + _KEPT) / 2])
    ends = np.array([*ends, estimate.value, estimate.low, estimate.high])
    ends = ends[np.isfinite(ends)]
    log = get_law(fit.law).coefficients[name].positive and bool(ends.min() > 0)
    quantity = Quantity(
        title=name, show=short_number, logarithmic=log and bool(ends.max() > WIDE * ends.min())
    )
    return quantity, quantity.domain(ends.tolist(), 0.06)


def _ticks(quantity: Quantity, domain: axes.Domain) -> list[float]:
    """Three ticks or so, two at least."""
    make = axes.log_ticks if quantity.logarithmic else axes.even_ticks
    every = (make(domain, most) for most in (3, 4, 5, 6, 7))
    return next((ticks for ticks in every if len(ticks) > 1), make(domain, 7))


def short_number(value: float) -> str:
    """Write a number that fits beside a small cell: 100k, not 100,000."""
    return format_count(value) if abs(value) >= _LONG else plain_number(value)


_LONG = 1e4
"""Where a number has more digits than there is room for."""


def _scale(quantity: Quantity, domain: axes.Domain) -> alt.Scale:
    kind: dict[str, Any] = {"type": "log"} if quantity.logarithmic else {"zero": False}
    return alt.Scale(domain=list(domain), nice=False, **kind)


def _channels(names: tuple[str, str], axis: dict[str, tuple[Quantity, axes.Domain]]) -> tuple[alt.X, alt.Y]:
    across, down = (axis[name] for name in names)
    return (
        alt.X(f"{names[0]}:Q", scale=_scale(*across), axis=_small_axis(*across)),
        alt.Y(f"{names[1]}:Q", scale=_scale(*down), axis=_small_axis(*down)),
    )


def _small_axis(quantity: Quantity, domain: axes.Domain) -> alt.Axis:
    made = axes.axis(quantity.title, _ticks(quantity, domain), quantity.show, grid=False)
    for key, value in {
        "labelFontSize": 10,
        "domain": True,
        "ticks": True,
        "labelFlush": True,
        "titlePadding": 4,
    }.items():
        made[key] = value
    return made


def _cloud(
    points: alt.InlineData,
    optimum: alt.InlineData,
    names: tuple[str, str],
    axis: dict[str, tuple[Quantity, axes.Domain]],
) -> alt.LayerChart:
    x, y = _channels(names, axis)
    dots = alt.Chart(points).mark_point(
        filled=True, size=9, opacity=0.42, color=theme.HOFFMANN.light, clip=True
    )
    cross = alt.Chart(optimum).mark_point(
        filled=True, shape="cross", size=70, color=theme.INK.light, opacity=1, clip=True
    )
    return marks.layered([dots.encode(x=x, y=y), cross.encode(x=x, y=y)], CELL)


def _histogram(
    column: Array,
    name: str,
    axis: tuple[Quantity, axes.Domain],
    best: float,
    fit: Fit,
) -> alt.LayerChart:
    quantity, domain = axis
    edges = np.geomspace(*domain, BINS + 1) if quantity.logarithmic else np.linspace(*domain, BINS + 1)
    counts = np.histogram(column[np.isfinite(column)], edges)[0].tolist()
    rows: list[Row] = [
        {name: float(edges[i]), "end": float(edges[i + 1]), "zero": 0.0, "count": float(count)}
        for i, count in enumerate(counts)
        if count
    ]
    top = 1.08 * max(counts)
    x, _ = _channels((name, name), {name: axis})
    y = alt.Y(
        "count:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(title="resamples", labels=False, ticks=False, grid=False, domain=False, values=[]),
    )
    estimate = fit.coefficients[list(fit.coefficients)[int(name[1:])]]
    span: Row = {name: estimate.low, "end": estimate.high, "count": 0.0, "top": top}
    ground = alt.Chart(marks.data([span])).mark_rect(color=theme.INK.light, opacity=0.1, clip=True)
    line = alt.Chart(marks.data([{name: best}])).mark_rule(color=theme.INK.light, strokeWidth=1.4, clip=True)
    bars = alt.Chart(marks.data(rows)).mark_rect(color=theme.HOFFMANN.light, opacity=0.45, clip=True)
    layers = [
        bars.encode(x=x, x2=alt.X2("end"), y=axes.other(y, "zero"), y2=alt.Y2("count")),
        line.encode(x=x),
    ]
    if np.isfinite([estimate.low, estimate.high]).all():
        layers.insert(0, ground.encode(x=x, x2=alt.X2("end"), y=y, y2=alt.Y2("top")))
    return marks.layered(layers, CELL)


def _trimmed(chart: alt.LayerChart, *, last: bool, first: bool) -> alt.LayerChart:
    """Only the bottom row has labels below, only the first column labels at its side, all of one width."""
    for layer in chart.layer:
        for channel in ("x", "y"):
            encoded = getattr(layer.encoding, channel)
            if not isinstance(encoded, (alt.X, alt.Y)):
                continue
            axis = encoded["axis"].copy()
            if channel == "x":
                axis["labelBound"] = True
            if channel == "x" and not last:
                axis["labels"], axis["title"] = False, None
            if channel == "y":
                # Inside the cell: a title beside it would make the first column's cells narrower.
                axis["titleAlign"], axis["titleAnchor"], axis["titleBaseline"] = "left", "start", "top"
                axis["titleX"], axis["titleY"], axis["titleAngle"] = 5, 3, 0
                axis["minExtent"] = axis["maxExtent"] = 38 if first else 2
                if not first:
                    axis["labels"], axis["title"], axis["ticks"] = False, None, False
            encoded["axis"] = axis
    return chart


def _label(across: str, down: str) -> str:
    if across == down:
        return f"Histogram of the resamples of {across}."
    return f"Resamples of {down} against those of {across}."


def _table(fit: Fit, places: list[int]) -> Table:
    """Estimates and, of each pair, the correlation over the resamples (of logarithms where positive)."""
    law, names = get_law(fit.law), list(fit.coefficients)
    logged = [law.coefficients[names[i]].positive for i in places]
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.array(
            [
                np.log(fit.resamples[:, i]) if log else fit.resamples[:, i]
                for i, log in zip(places, logged, strict=True)
            ]
        )
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    many = drawn.shape[1] > 2
    together = np.corrcoef(drawn) if many else np.full((len(places), len(places)), np.nan)
    rows = tuple(
        (
            names[i],
            shown(fit.coefficients[names[i]], three_digits),
            *(number(float(together[row, column]), _correlation) for column in range(len(places))),
        )
        for row, i in enumerate(places)
    )
    return Table(
        name="corner-table",
        title="Coefficients and their correlations",
        columns=("Coefficient", "Value", *(f"with {names[i]}" for i in places)),
        rows=rows,
        note="Correlations over the resamples, of the logarithms of coefficients that are scales.",
    )


def _correlation(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
