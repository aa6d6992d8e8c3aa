"""How far off each law was on runs dearer than those it was fitted to, against how much dearer they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from scalescope.fitting.holdout import Holdout
from scalescope.fitting.scores import Comparison, Score
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import LAW_NAMES, number, two_digits
from scalescope.units import format_factor, format_percent

MOST = 5
"""Laws with a colour of their own, best first; the others are thin grey lines."""
MOST_THIN = 12
NEAR = 0.35
"""Hold-outs closer than this in log ratio are one point of a line."""
FLOOR = 3e-4
"""Errors below are drawn here: a logarithmic axis has no zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """Root mean square error of one law at each extrapolation ratio."""

    law: str
    ratios: tuple[float, ...]
    errors: tuple[float, ...]
    """Of the logarithm of the target."""


def errors_beyond(contents: Contents) -> Figure | None:
    """Draw the comparison of a report; None without one."""
    return None if contents.comparison is None else comparison_figure(contents.comparison)


def comparison_figure(comparison: Comparison) -> Figure:
    """One line a law: error against extrapolation ratio, over the noise of one run; the stack on top."""
    lines = [line_of(score.law, comparison.holdouts) for score in comparison.scores]
    lines = [line for line in lines if line.ratios]
    shown, thin = lines[:MOST], lines[MOST : MOST + MOST_THIN]
    tints = theme.ordered(len(shown))[::-1]
    colours = {label(line.law): tint for line, tint in zip(shown, tints, strict=True)}
    keys = [Key(kind="line", label=name, colour=colour) for name, colour in colours.items()]
    stack = _stack_rows(comparison)
    if stack:
        keys.append(Key(kind="plan", label="their stack, weighed by earlier cuts only", colour=theme.PLAN))
    if thin:
        keys.append(Key(kind="thin", label=f"{len(thin)} laws further down the ranks", colour=theme.MUTED))
    keys.append(Key(kind="band", label="noise of one run: no law does better", colour=theme.INK))
    return Figure(
        name="comparison",
        title="Error against extrapolation",
        caption=f"Each law is fitted to the runs below a cut in compute and asked for those above; "
        f"{len(comparison.cuts)} cuts of {comparison.n_runs} runs. A line that rises fast is a form that "
        "should not be trusted far out.",
        panels=(Panel(title="", chart=_chart(comparison, shown, thin, stack, colours), label=_told(shown)),),
        keys=tuple(keys),
        table=ranking(comparison),
        twin_open=True,
    )


def label(law: str) -> str:
    """Short name of a law for a legend."""
    return LAW_NAMES.get(law, law)


def line_of(law: str, holdouts: Sequence[Holdout]) -> ErrorLine:
    """Gather the hold-outs of one law at nearly equal ratios."""
    own = sorted((one for one in holdouts if one.law == law), key=lambda one: one.ratio)
    own = [one for one in own if np.isfinite(one.rms_error) and one.ratio > 0]
    if not own:
        return ErrorLine(law=law, ratios=(), errors=())
    ratio = np.log([one.ratio for one in own])
    group = np.concatenate([[0], np.cumsum(np.diff(ratio) > NEAR)])
    squares, runs = np.array([one.rms_error**2 for one in own]), np.array([one.n_predicted for one in own])
    kinds = range(int(group[-1]) + 1)
    return ErrorLine(
        law=law,
        ratios=tuple(float(np.exp(ratio[group == kind].mean())) for kind in kinds),
        errors=tuple(
            float(np.sqrt(np.average(squares[group == kind], weights=runs[group == kind]))) for kind in kinds
        ),
    )


def _rows(line: ErrorLine) -> list[Row]:
    return [
        {
            "x": ratio,
            "y": max(error, FLOOR),
            "law": label(line.law),
            "about": f"{label(line.law)}\n{format_factor(ratio)} the compute: off by {format_percent(error)}",
        }
        for ratio, error in zip(line.ratios, line.errors, strict=True)
    ]


def _stack_rows(comparison: Comparison) -> list[Row]:
    """The stack is judged on the last cut only; it stands at the middle of that cut's ratios."""
    if comparison.stack is None or not comparison.holdouts:
        return []
    most = max(one.n_fitted for one in comparison.holdouts)
    ratios = [one.ratio for one in comparison.holdouts if one.n_fitted == most]
    error = comparison.stack.rms_log_error
    if not np.isfinite(error):
        return []
    told = f"stack, on the last cut: off by {format_percent(error)}"
    return [{"x": float(np.exp(np.mean(np.log(ratios)))), "y": max(error, FLOOR), "about": told}]


def _chart(
    comparison: Comparison,
    shown: list[ErrorLine],
    thin: list[ErrorLine],
    stack: list[Row],
    colours: dict[str, theme.Colour],
) -> alt.LayerChart:
    rows, grey = ([row for line in part for row in _rows(line)] for part in (shown, thin))
    everything = [*rows, *grey, *stack]
    noise = comparison.noise_sd
    wide = axes.padded([row["x"] for row in everything], 0.04)
    tall = axes.padded([*(row["y"] for row in everything), noise / 2], 0.05)
    x = axes.log_x("x", "Compute predicted over compute fitted", wide, format_factor)
    y = axes.log_y("y", f"Error of {comparison.target}, root mean square", tall, format_percent)
    layers = _noise(noise, wide, tall, x, y) if noise > tall[0] else []
    if grey:
        faint = alt.Chart(marks.data(grey)).mark_line(color=theme.MUTED.light, strokeWidth=0.8, opacity=0.7)
        layers.append(faint.encode(x=x, y=y, detail=alt.Detail("law:N"), tooltip=alt.Tooltip("law:N")))
    scale = alt.Scale(domain=list(colours), range=[colour.light for colour in colours.values()])
    colour = alt.Color("law:N", scale=scale, legend=alt.Legend(title=None))
    base = alt.Chart(marks.data(rows))
    layers.append(base.mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour))
    dots = base.mark_point(filled=True, size=44, opacity=1)
    layers.append(dots.encode(x=x, y=y, color=colour, tooltip=alt.Tooltip("about:N")))
    return marks.layered([*layers, *(_stack(stack, x, y) if stack else [])], 360)


def _noise(noise: float, wide: axes.Domain, tall: axes.Domain, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    band = [{"x": end, "y": noise, "floor": tall[0]} for end in wide]
    area: alt.Chart = alt.Chart(marks.data(band)).mark_area(color=theme.INK.light, opacity=0.09, clip=True)
    words = alt.Chart(marks.data([{"x": wide[1], "y": tall[0], "text": "noise of one run"}]))
    told = words.mark_text(
        align="right", baseline="bottom", dx=-6, dy=-4, fontSize=10, color=theme.MUTED.light
    ).encode(x=x, y=y, text=alt.Text("text:N"))
    return [area.encode(x=x, y=y, y2=alt.Y2("floor")), told]


def _stack(rows: list[Row], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    square = alt.Chart(marks.data(rows)).mark_point(
        shape="square", size=90, strokeWidth=2.2, stroke=theme.PLAN.light, fill=theme.PAPER.light, opacity=1
    )
    words = alt.Chart(marks.data([row | {"text": "stack"} for row in rows])).mark_text(
        align="left", baseline="middle", dx=10, fontSize=11, color=theme.PLAN.light
    )
    return [
        square.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")),
        words.encode(x=x, y=y, text=alt.Text("text:N")),
    ]


def _told(lines: list[ErrorLine]) -> str:
    return f"Error of {', '.join(label(line.law) for line in lines)} against extrapolation ratio."


def ranking(comparison: Comparison) -> Table:
    """The ranked laws as a table."""
    notes = [
        "Rank 1= is tied. Chance: share of other draws of the noise in which a law is as good as the first."
    ]
    if any(score.envelope_only for score in comparison.scores):
        notes.append("Laws without a rank are judged on the runs of the lower envelope only.")
    if comparison.stack is not None:
        stack = comparison.stack
        notes.append(
            f"The stack, weighed by earlier cuts, was off by {format_percent(stack.rms_log_error)} on the "
            f"last one; the best law before it, {label(stack.picked)}, by "
            f"{format_percent(stack.picked_rms_log_error)}."
        )
    if comparison.missed:
        notes.append(f"Not compared: {', '.join(comparison.missed)}.")
    return Table(
        name="comparison-table",
        title="Laws ranked by what they predict",
        columns=(
            "Law",
            "Rank",
            "Typical error",
            "Rms",
            "Mean",
            "Chance",
            "Weight",
            "Inside",
        ),
        rows=tuple(_ranked(score) for score in comparison.scores),
        note=" ".join(notes),
    )


def _ranked(score: Score) -> tuple[str, ...]:
    inside = f"{round(score.coverage * score.n_covered)}/{score.n_covered}" if score.n_covered else "–"
    mean = float(np.expm1(score.mean_log_error))
    return (
        label(score.law),
        f"{score.rank}{'=' if score.tied else ''}" if score.rank else "–",
        number(score.typical_log_error, format_percent),
        number(score.rms_log_error, format_percent),
        ("+" if mean > 0 else "−") + number(abs(mean), format_percent),
        number(score.chance, two_digits),
        number(score.weight, two_digits) if score.weight else "–",
        inside,
    )
