"""Learning curves: the loss of every run while it was trained."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from scalescope.reports.contents import Contents, Curve
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import HELD, Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.units import format_count, format_loss

MOST_KEYS = 6
MOST_POINTS = 36
"""Points drawn of one curve; the JSON twin has all of them."""


def learning_curves(contents: Contents) -> Figure | None:
    """Loss against tokens seen, one line a run, coloured by size; None without curves."""
    drawn = [curve for curve in contents.curves if len(curve.tokens) > 1]
    if not drawn:
        return None
    sizes = sorted({curve.params for curve in drawn})
    labels = list(dict.fromkeys(map(format_count, sizes)))
    colours = dict(zip(labels, theme.ordered(len(labels)), strict=True))
    chart = _chart(drawn, colours)
    label = f"Loss falling with tokens in {len(drawn)} runs of {format_count(sizes[0])} parameters and more."
    return Figure(
        name="learning",
        title="Learning curves",
        caption="Training loss, smoothed, against tokens seen; one line a run. Lines that end early are "
        "the short horizons of the grid.",
        panels=(Panel(title="", chart=chart, label=label),),
        keys=_keys(drawn, colours),
        table=_table(drawn),
    )


def thinned(curve: Curve) -> list[int]:
    """Choose at most `MOST_POINTS` points of a curve, even on the log axis it is drawn on."""
    tokens = np.asarray(curve.tokens)
    if len(tokens) <= MOST_POINTS:
        return list(range(len(tokens)))
    wanted = np.geomspace(max(tokens[0], 1e-3 * tokens[-1]), tokens[-1], MOST_POINTS)
    return sorted(set(np.clip(np.searchsorted(tokens, wanted), 0, len(tokens) - 1).tolist()))


def _rows(curve: Curve) -> list[Row]:
    fixed: Row = {"run": curve.name, "size": format_count(curve.params)}
    return [
        fixed | {"x": curve.tokens[i], "y": curve.loss[i]}
        for i in thinned(curve)
        if curve.tokens[i] > 0 and np.isfinite(curve.loss[i])
    ]


def _chart(drawn: list[Curve], colours: dict[str, theme.Colour]) -> alt.LayerChart:
    fitted_rows = [row for curve in drawn if not curve.held_out for row in _rows(curve)]
    held_rows = [row for curve in drawn if curve.held_out for row in _rows(curve)]
    rows = fitted_rows + held_rows
    x = axes.log_x("x", axes.TOKENS_TITLE, axes.padded([row["x"] for row in rows], 0.01))
    # The first steps are far above all that matters; a few of them are cut off.
    top = float(np.quantile([row["y"] for row in rows], 0.97))
    y = axes.loss_y(
        "y", axes.padded([top, min(row["y"] for row in rows)], 0.03), title="Training loss, nats/token"
    )
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    base: dict[str, Any] = {"strokeWidth": 1.3, "opacity": 0.85, "clip": True}
    seen = (
        alt.Chart(marks.data(fitted_rows))
        .mark_line(**base)
        .encode(
            x=x,
            y=y,
            detail=alt.Detail("run:N"),
            color=alt.Color("size:N", scale=scale, legend=alt.Legend(title="Parameters N")),
            tooltip=alt.Tooltip("run:N"),
        )
    )
    if not held_rows:
        return marks.layered([seen])
    held = (
        alt.Chart(marks.data(held_rows))
        .mark_line(color=theme.HELD_OUT.light, strokeWidth=2.2, clip=True)
        .encode(x=x, y=y, detail=alt.Detail("run:N"), tooltip=alt.Tooltip("run:N"))
    )
    return marks.layered([seen, held])


def _keys(drawn: list[Curve], colours: dict[str, theme.Colour]) -> tuple[Key, ...]:
    sizes = sorted({curve.params for curve in drawn if not curve.held_out})
    # The colours are ordered, so a few of them are a scale to read the others by.
    chosen = dict.fromkeys(
        round(place) for place in np.linspace(0, len(sizes) - 1, min(MOST_KEYS, len(sizes)))
    )
    labels = [format_count(sizes[index]) for index in chosen]
    keys = [Key(kind="line", label=f"N = {label}", colour=colours[label]) for label in labels]
    if any(curve.held_out for curve in drawn):
        keys.append(Key(kind="line", label="held-out run", colour=theme.HELD_OUT))
    return tuple(keys)


def _table(drawn: list[Curve]) -> Table:
    rows = tuple(
        (
            curve.name,
            format_count(curve.params),
            format_count(curve.tokens[-1]),
            format_loss(curve.loss[0]),
            format_loss(curve.loss[-1]),
            HELD if curve.held_out else "fitted",
        )
        for curve in sorted(drawn, key=lambda curve: (curve.held_out, curve.params, curve.tokens[-1]))
    )
    columns = ("Run", "Parameters N", "Tokens D", "First loss", "Last loss", "Use")
    return Table(name="learning-table", title="Learning curves", columns=columns, rows=rows)
