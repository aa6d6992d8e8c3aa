"""The marks that all figures share, so that measured, fitted and extrapolated look the same in each of them.

Measured runs are dots, held-out runs hollow diamonds, the fitted range is a solid line in a band, what lies
beyond a dashed line in a lighter band, what a plan says a hollow square.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from scalescope.points import Array, Runs
from scalescope.reports.figures import axes, theme
from scalescope.reports.figures.base import BEYOND, FITTED, HELD, MEASURED, Key, Row
from scalescope.units import format_count, format_flop, format_loss, format_significant

if TYPE_CHECKING:
    import numpy.typing as npt

PLANNED = "plan"
MOST_GROUPS = 8
_MOST_TOLD = 6
_GAP = 0.14
"""Budgets closer than this in log compute are one."""


def data(rows: list[Row]) -> alt.InlineData:
    """Rows inside the specification, so that a figure never asks for a file; as CSV, a third of the bytes.

    Five significant digits are more than a drawing can show.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {name: f"{cell:.5g}" if isinstance(cell, float) else cell for name, cell in row.items()}
        )
    numbers = {name: "number" for row in rows for name, cell in row.items() if not isinstance(cell, str)}
    return alt.InlineData(values=text.getvalue(), format=alt.CsvDataFormat(type="csv", parse=numbers))


def budgets(runs: Runs) -> Array | None:
    """Return the budget of every run: the column, or clusters of equal compute; None where there are none."""
    if "compute" not in runs or np.isnan(runs.compute).any():
        return None
    if "budget" in runs and not np.isnan(runs["budget"]).any():
        column = runs["budget"]
    else:
        order = np.argsort(runs.compute)
        jumps = np.diff(np.log(runs.compute[order])) > _GAP
        group = np.empty(len(runs), dtype=np.int64)
        group[order] = np.concatenate([[0], np.cumsum(jumps)])
        centres = [np.exp(np.mean(np.log(runs.compute[group == index]))) for index in range(group.max() + 1)]
        column = np.array(centres)[group]
    few = len(np.unique(column)) <= MOST_GROUPS and len(np.unique(column)) < len(runs)
    return column if few else None


def group_colours(runs: Runs) -> dict[str, theme.Colour]:
    """Label and colour of every budget of the fitted runs, cheapest first; one group without budgets."""
    column = budgets(runs)
    if column is None:
        return {"runs": theme.ordered(1)[0]}
    levels = sorted(set(column[~runs.held_out].tolist()))
    return dict(zip([format_flop(level) for level in levels], theme.ordered(len(levels)), strict=True))


def group_labels(runs: Runs) -> list[str]:
    """Label of every run's budget, in the order of the runs."""
    column = budgets(runs)
    return ["runs"] * len(runs) if column is None else [format_flop(level) for level in column]


def about(runs: Runs, index: int) -> str:
    """Text shown beside the pointer: size, tokens, compute and loss, or whatever the table has."""
    lines = [runs.names[index]] if runs.names else []
    known = {runs.count: "N", "tokens": "D"}
    counts = [f"{known[name]} {format_count(float(runs[name][index]))}" for name in known if name in runs]
    lines += [", ".join(counts)] if counts else []
    lines += [f"C {format_flop(float(runs.compute[index]))}"] if "compute" in runs else []
    lines += [f"L {format_loss(float(runs.loss[index]))} nats/token"] if "loss" in runs else []
    if not counts or "loss" not in runs:
        own = [name for name in runs.columns if name not in (*known, "compute", "loss", "held_out", "seed")]
        lines += [f"{name} {format_significant(float(runs[name][index]))}" for name in own[:_MOST_TOLD]]
    return "\n".join([*lines, *(["held out of every fit"] if runs.held_out[index] else [])])


def run_rows(runs: Runs, x: Array, y: Array, keep: npt.NDArray[np.bool_] | None = None) -> list[Row]:
    """One row a run: where it lies, its budget, whether it was held out."""
    labels = group_labels(runs)
    chosen = range(len(runs)) if keep is None else np.flatnonzero(keep).tolist()
    return [
        {
            "x": float(x[i]),
            "y": float(y[i]),
            "budget": labels[i],
            "kind": HELD if runs.held_out[i] else MEASURED,
            "about": about(runs, i),
        }
        for i in chosen
    ]


def _shape() -> alt.Shape:
    scale = alt.Scale(domain=[MEASURED, HELD, PLANNED], range=["circle", "diamond", "square"])
    return alt.Shape("kind:N", scale=scale, title=None)


def measured(rows: list[Row], x: alt.X, y: alt.Y, colours: dict[str, theme.Colour]) -> list[alt.Chart]:
    """Dots of the fitted runs coloured by budget, and hollow diamonds of the held-out ones."""
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    legend = alt.Legend(title="Budget") if len(colours) > 1 else None
    fitted = [row for row in rows if row["kind"] == MEASURED]
    held = [row for row in rows if row["kind"] == HELD]
    dots = (
        alt.Chart(data(fitted))
        .mark_point(filled=True, size=42, opacity=0.9, clip=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color("budget:N", scale=scale, legend=legend),
            shape=_shape(),
            tooltip=alt.Tooltip("about:N"),
        )
    )
    return [dots, *([diamonds(held, x, y)] if held else [])]


def diamonds(rows: list[Row], x: alt.X, y: alt.Y) -> alt.Chart:
    """Hollow diamonds: runs that no fit has seen."""
    mark: dict[str, Any] = {
        "size": 110,
        "strokeWidth": 2.2,
        "stroke": theme.HELD_OUT.light,
        "fill": theme.PAPER.light,
    }
    chart: alt.Chart = alt.Chart(data(rows)).mark_point(opacity=1, clip=True, **mark)
    return chart.encode(x=x, y=y, shape=_shape(), tooltip=alt.Tooltip("about:N"))


def planned(rows: list[Row], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Hollow squares with the interval of what a plan says."""
    base = alt.Chart(data([row | {"kind": PLANNED} for row in rows]))
    bars = base.mark_rule(strokeWidth=1.6, color=theme.PLAN.light, clip=True).encode(
        x=x, y=axes.other(y, "low"), y2=alt.Y2("high")
    )
    mark: dict[str, Any] = {
        "size": 80,
        "strokeWidth": 2,
        "stroke": theme.PLAN.light,
        "fill": theme.PAPER.light,
    }
    squares = base.mark_point(opacity=1, clip=True, **mark).encode(
        x=x, y=y, shape=_shape(), tooltip=alt.Tooltip("about:N")
    )
    return [bars, squares]


def curve(rows: list[Row], x: alt.X, y: alt.Y, colour: theme.Colour = theme.INK) -> list[alt.Chart]:
    """Solid line in a band inside the fitted range, dashed line in a lighter band beyond it."""
    parts = [FITTED, BEYOND]
    strokes = alt.Legend(title=None, symbolType="stroke", symbolSize=400, symbolStrokeColor=theme.INK.light)
    dashes = alt.Scale(domain=parts, range=[[1, 0], [5, 4]])
    dash = alt.StrokeDash("part:N", scale=dashes, legend=strokes)
    # The domain is turned round since Vega-Lite would drop the legend of a scale with an equal domain too.
    shades = alt.Scale(domain=parts[::-1], range=[0.09, 0.2])
    shade = alt.Opacity("part:O", scale=shades, legend=None)
    base = alt.Chart(data(rows))
    bands = [row for row in rows if "low" in row]
    area = (
        alt.Chart(data(bands))
        .mark_area(color=colour.light, clip=True)
        .encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high"), opacity=shade, detail=alt.Detail("piece:N"))
    )
    line = base.mark_line(color=colour.light, strokeWidth=1.8, clip=True).encode(
        x=x, y=y, strokeDash=dash, detail=alt.Detail("piece:N")
    )
    return [*([area] if bands else []), line]


def layered(layers: list[alt.Chart], height: int = 300) -> alt.LayerChart:
    """One panel, as wide as the space it is given."""
    return alt.LayerChart(layer=layers, width="container", height=height)


def law_keys(*, beyond: bool = True, colour: theme.Colour = theme.INK) -> list[Key]:
    """Legend of a law's curve."""
    keys = [Key(kind="fitted", label="law in the fitted range, with its interval", colour=colour)]
    if beyond:
        keys.append(Key(kind="extrapolation", label="extrapolation, with its interval", colour=colour))
    return keys


def run_keys(runs: Runs, colours: dict[str, theme.Colour]) -> list[Key]:
    """Legend of the measured runs."""
    keys = [
        Key(kind="point", label="measured" if label == "runs" else f"measured, {label}", colour=colour)
        for label, colour in colours.items()
    ]
    if runs.held_out.any():
        keys.append(Key(kind="held-out", label="measured, held out of the fit", colour=theme.HELD_OUT))
    return keys


def plan_key() -> Key:
    """Legend of a plan's squares."""
    return Key(kind="plan", label="plan, with its interval", colour=theme.PLAN)
