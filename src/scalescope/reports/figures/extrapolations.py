"""One curve carried beyond its end: its points, the average of the forms, and each form by itself."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from scalescope.fitting.extrapolation.averaging import average
from scalescope.fitting.extrapolation.result import Extrapolation, ordinate
from scalescope.points import Array
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import BEYOND, Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity, amount, plain_number
from scalescope.reports.tables import Table
from scalescope.reports.text import number, three_digits, two_digits
from scalescope.units import format_factor, format_percent

POINTS = 40
"""Places in the range of the points."""
LIGHT = 0.001
"""Weights below this are written as less than it."""


def extrapolation_figure(result: Extrapolation, x_title: str = "x", y_title: str = "y") -> Figure:
    """Draw points, fitted range, continuation with interval, and the forms' own continuations as thin lines.

    Parameters
    ----------
    result
        Of `extrapolate`.
    x_title, y_title
        Titles of the axes, with units.
    """
    drawn = result.forms
    names = [f"{one.law}, weight {_share(one.weight)}" for one in drawn]
    tints = theme.ordered(len(drawn))[::-1]
    keys = [
        Key(kind="point", label="points", colour=theme.ordered(1)[0]),
        Key(kind="fitted", label="average of the forms over the points", colour=theme.INK),
        Key(kind="extrapolation", label="extrapolation, with its interval", colour=theme.INK),
        *(Key(kind="thin", label=name, colour=tint) for name, tint in zip(names, tints, strict=True)),
    ]
    ratio = float(result.at.max()) / result.range[1]
    return Figure(
        name="extrapolation",
        title="The curve beyond its end",
        caption=f"{result.n_points} points, carried on to {format_factor(ratio)} the last one. "
        f"{format_percent(result.level)} of measured points should lie in the interval.",
        panels=(
            Panel(
                title="",
                chart=_chart(result, names, tints, (x_title, y_title)),
                label=f"A curve of {result.n_points} points, its extrapolation with interval, and the forms.",
            ),
        ),
        keys=tuple(keys),
        table=_table(result),
    )


def _share(weight: float) -> str:
    return format_percent(weight) if weight >= LIGHT else f"<{format_percent(LIGHT)}"


def curve_of(result: Extrapolation) -> tuple[Array, tuple[Array, Array, Array]]:
    """Abscissae from the first point to the farthest that was asked for, and value, low, high there."""
    low, high = result.range
    x = np.unique(np.concatenate([predictions.reaching((low, high), low, float(result.at.max())), result.at]))
    every = result.predict(x)
    value, below, above = (np.array([getattr(one, end) for one in every]) for end in ("value", "low", "high"))
    return x, (value, below, above)


def forms_at(result: Extrapolation, x: Array) -> Array:
    """Each form's own curve, shape (n_forms, n)."""
    weights = np.array([one.weight for one in result.forms])
    return ordinate(result, average(result.forms, weights, np.log(x / result.range[1])).each)


def _chart(
    result: Extrapolation, names: Sequence[str], tints: Sequence[theme.Colour], titles: tuple[str, str]
) -> alt.LayerChart:
    x, curve = curve_of(result)
    nothing = np.full(len(x), np.nan)
    inside = x <= result.range[1]
    # Inside the range the interval is that of a point, which the points themselves show.
    band = (curve[0], np.where(inside, nothing, curve[1]), np.where(inside, nothing, curve[2]))
    rows = predictions.rows(x, band, result.range)
    points: list[Row] = [{"x": float(a), "y": float(b)} for a, b in result.points.T]
    beyond = np.concatenate([[result.range[1]], x[~inside]])
    forms: list[Row] = [
        {"x": float(a), "y": float(b), "form": name}
        for name, own in zip(names, forms_at(result, beyond), strict=False)
        for a, b in zip(beyond, own, strict=True)
        if np.isfinite(b)
    ]
    ends = [row[key] for row in (*rows, *points) for key in ("y", "low", "high") if key in row]
    log = min(ends) > 0 and result.ceiling is None
    across = Quantity(title=titles[0], show=amount("tokens"), logarithmic=True)
    up = Quantity(title=titles[1], show=plain_number, logarithmic=log)
    ax = across.x("x", across.domain([row["x"] for row in (*rows, *points)], 0.03))
    ay = up.y("y", _tall(up, rows, points))
    scale = alt.Scale(domain=list(names), range=[tint.light for tint in tints])
    thin = alt.Chart(marks.data(forms)).mark_line(strokeWidth=1, strokeDash=[2, 2], clip=True)
    layers = marks.curve(rows, ax, ay)
    colour = alt.Color("form:N", scale=scale, legend=alt.Legend(title="Forms", columns=2))
    layers.append(thin.encode(x=ax, y=ay, color=colour, tooltip=alt.Tooltip("form:N")))
    dots = alt.Chart(marks.data(points)).mark_point(
        filled=True, size=36, color=theme.ordered(1)[0].light, opacity=0.9, clip=True
    )
    return marks.layered([*layers, dots.encode(x=ax, y=ay)], 360)


def _tall(up: Quantity, rows: list[Row], points: list[Row]) -> axes.Domain:
    """Span of curve and points; a runaway end of the interval is cut at three times the curve's own span."""
    own = np.array([row["y"] for row in (*rows, *points)])
    ends = np.array(
        [row[key] for row in rows for key in ("low", "high") if key in row and row["part"] == BEYOND]
    )
    if up.logarithmic:
        own, ends = np.log(own), np.log(np.maximum(ends, 1e-300))
    reach = 3 * max(float(np.ptp(own)), 1e-9)
    both = np.concatenate([own, np.clip(ends, own.min() - reach, own.max() + reach)])
    return up.domain((np.exp(both) if up.logarithmic else both).tolist())


def _table(result: Extrapolation) -> Table:
    rows = [
        (
            three_digits(float(x)),
            format_factor(float(x) / result.range[1]),
            f"{three_digits(float(value))} [{three_digits(float(low))}, {three_digits(float(high))}]",
        )
        for x, value, low, high in zip(result.at, result.value, result.low, result.high, strict=True)
    ]
    forms = "; ".join(
        f"{one.law} {two_digits(one.weight)} (off by {number(one.error, format_percent)} inside the curve)"
        for one in result.forms
    )
    return Table(
        name="extrapolation-table",
        title="The curve beyond its end",
        columns=("x", "Over the last point", "Value"),
        rows=tuple(rows),
        note=f"Weights: {forms}.",
    )
