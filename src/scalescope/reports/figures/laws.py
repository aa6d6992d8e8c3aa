"""A law drawn from coefficients that somebody published, or from its plausible ones: no fit, no interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import altair as alt
import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.laws import Law, Published
from scalescope.points import Array
from scalescope.reports.figures import marks, theme
from scalescope.reports.figures.base import BEYOND, FITTED, Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity, amount, column_title, target_axis, variable_axis
from scalescope.reports.sections import (
    Section,
    beside,
    by_interest,
    chosen_set,
    is_of_curves,
    is_share,
    middle,
    section,
    spread,
    steps,
)
from scalescope.reports.tables import Table

MOST_PANELS = 4
LINES = 3
POINTS = 48
SCHEDULES = 4
REACH = 30.0
"""How far beyond the published data a line goes on, where these are known."""
_TWIN_ROWS = 4
EXAMPLES = "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class LawLine:
    """One line of a law."""

    label: str
    """Value of the second variable, such as `D = 20B`; empty where there is none."""
    x: Array
    y: Array
    """In the unit of the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where the coefficients came from."""

    name: str
    theta: Array
    published: Published | None


def law_figure(law: Law, coefficients: Mapping[str, float] | str | None = None) -> Figure:
    """Draw a law along each of its variables, at three values of a second one; four panels at most.

    Parameters
    ----------
    law
        Of the registry, or sized.
    coefficients
        In natural units, or the name of a published set; the first verified published set, else the law's
        examples, if not given.

    Raises
    ------
    InputError
        If a coefficient or the set is not the law's.
    """
    source = _source(law, coefficients)
    panels, table = [], []
    for letter in _letters(law):
        lines, second, held = _lines(law, source, letter)
        panels.append(_panel(law, source, letter, lines, second, held))
        table += _rows_of_table(law, source, letter, lines)
    known = source.published is not None and bool(source.published.ranges)
    return Figure(
        name="law",
        title=law.title,
        caption=f"{law.formula}. {_drawn_from(source)}",
        panels=tuple(panels),
        keys=_keys(known),
        table=Table(
            name="law-table",
            title="The law at a few values",
            columns=("At", "Line", "Part", column_title(law.target)),
            rows=tuple(table),
        ),
    )


def _source(law: Law, coefficients: Mapping[str, float] | str | None) -> _Source:
    if isinstance(coefficients, str) and coefficients != EXAMPLES:
        if coefficients not in law.published:
            hint = nearest(coefficients, law.published) if law.published else "It has none."
            raise InputError(f"{law.name} has no published set {coefficients!r}", hint=hint)
        name, published = coefficients, law.published[coefficients]
        return _Source(name=name, theta=_vector(law, published.coefficients), published=published)
    if isinstance(coefficients, Mapping):
        return _Source(name="given", theta=_vector(law, coefficients), published=None)
    chosen, found = chosen_set(law) if coefficients is None else (EXAMPLES, None)
    theta = law.examples if found is None else _vector(law, found.coefficients)
    return _Source(name=chosen, theta=theta, published=found)


def _vector(law: Law, coefficients: Mapping[str, float]) -> Array:
    missing = [name for name in law.coefficients if name not in coefficients]
    unknown = [name for name in coefficients if name not in law.coefficients]
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has no coefficient {', '.join(unknown)}"
        raise InputError(f"{law.name} {what}", hint=f"Its coefficients are {', '.join(law.coefficients)}.")
    return np.array([float(coefficients[name]) for name in law.coefficients])


def _drawn_from(source: _Source) -> str:
    if source.name == EXAMPLES:
        return "Drawn from plausible coefficients, not from a fit."
    if source.published is None:
        return "Drawn from the coefficients given."
    mark = "" if source.published.verified else " (not verified)"
    return f"Published set {source.name}{mark}: {source.published.source}."


def _letters(law: Law) -> list[str]:
    if is_of_curves(law):
        return [letter for letter, one in law.variables.items() if one.column == "step"]
    letters = by_interest(law)
    shares = [letter for letter in letters if is_share(law, letter)]
    return [letter for letter in letters if letter not in shares[1:]][:MOST_PANELS]


def _lines(law: Law, source: _Source, letter: str) -> tuple[list[LawLine], str | None, Section | None]:
    if is_of_curves(law):
        return _curves(law, source), None, None
    second = beside(law, letter)
    one, centre = law.variables[letter], middle(law, source.published)
    grid = _grid(law, source, letter)
    values: list[float] = spread(law, second, LINES, source.published).tolist() if second else [0.0]
    lines, last = [], None
    for value in values:
        others = centre if second is None else centre | {second: value}
        last = section(law, letter, grid, others)
        if len(last.x) < 2:
            continue
        with np.errstate(all="ignore"):
            y = np.asarray(law.value(source.theta, **last.at), dtype=np.float64)
        told = "" if second is None else f"{second} = {amount(law.variables[second].column)(value)}"
        finite = np.isfinite(y) & ((y > 0) | (law.scale == "raw") | (not one.logarithmic))
        lines.append(LawLine(label=told, x=last.x[finite], y=y[finite]))
    return lines, second, last


def _grid(law: Law, source: _Source, letter: str) -> Array:
    """The typical range, or that of the published data and some way beyond."""
    one = law.variables[letter]
    edges = source.published.ranges.get(letter) if source.published else None
    if edges is None or edges[0] == edges[1]:
        return steps((one.low, one.high), POINTS, logarithmic=one.logarithmic)
    if not one.logarithmic:
        return steps(edges, POINTS, logarithmic=False)
    inside = steps(edges, POINTS, logarithmic=True)
    return np.concatenate([inside, np.geomspace(edges[1], edges[1] * REACH, POINTS // 2)[1:]])


def _curves(law: Law, source: _Source) -> list[LawLine]:
    """Whole training curves under the schedules that the law is tested with, sizes at their middle."""
    x = law.design(SCHEDULES * 2 * POINTS)
    own = {letter: one.column for letter, one in law.variables.items()}
    centre = middle(law, source.published)
    x |= {
        letter: np.full(len(next(iter(x.values()))), centre[letter])
        for letter, column in own.items()
        if column not in ("curve", "step", "learning_rate")
    }
    curve, step, rate = (
        next(letter for letter, column in own.items() if column == name)
        for name in ("curve", "step", "learning_rate")
    )
    y = np.asarray(law.value(source.theta, **x))
    show = amount("learning_rate")
    lines = []
    for number in np.unique(x[curve])[:SCHEDULES]:
        mask = x[curve] == number
        rates = x[rate][mask]
        told = f"rate {show(float(rates.max()))} to {show(float(rates[-1]))}"
        lines.append(LawLine(label=told, x=x[step][mask], y=y[mask]))
    return lines


def _edges(source: _Source, letter: str) -> tuple[float, float] | None:
    if source.published is None or letter not in source.published.ranges:
        return None
    low, high = source.published.ranges[letter]
    return (low, high) if low < high else None


def _rows(line: LawLine, level: int, edges: tuple[float, float] | None) -> list[Row]:
    """Where the data of the publication are known, what lies beyond them is an extrapolation."""
    rows: list[Row] = []
    told = {"line": line.label, "level": str(level)}
    low, high = edges or (-np.inf, np.inf)
    pieces = (("below", BEYOND, line.x <= low), ("inside", FITTED, (line.x >= low) & (line.x <= high)))
    for piece, part, mask in (*pieces, ("above", BEYOND, line.x >= high)):
        if mask.sum() > 1:
            rows += [
                {"x": float(x), "y": float(y), "part": part, "piece": piece} | told
                for x, y in zip(line.x[mask], line.y[mask], strict=True)
            ]
    return rows


def _panel(
    law: Law, source: _Source, letter: str, lines: list[LawLine], second: str | None, held: Section | None
) -> Panel:
    count = source.published.count if source.published else law.count
    edges = _edges(source, letter)
    rows = [row for level, line in enumerate(lines) for row in _rows(line, level, edges)]
    across = variable_axis(law, letter, count)
    up = target_axis(law, [row["y"] for row in rows])
    x = across.x("x", across.domain([row["x"] for row in rows], 0.02))
    y = up.y("y", up.domain(_visible(rows, up)))
    levels = [str(index) for index in range(SCHEDULES if is_of_curves(law) else LINES)]
    tints = alt.Scale(domain=levels, range=[colour.light for colour in theme.ordered(len(levels))])
    dashes = alt.Scale(domain=[FITTED, BEYOND], range=[[1, 0], [5, 4]])
    line = alt.Chart(marks.data(rows)).mark_line(strokeWidth=1.9, clip=True)
    encoded = line.encode(
        x=x,
        y=y,
        color=alt.Color("level:N", scale=tints, legend=None),
        strokeDash=alt.StrokeDash("part:N", scale=dashes, legend=None),
        detail=alt.Detail("piece:N"),
        tooltip=alt.Tooltip("line:N"),
    )
    others = {} if held is None else {k: v for k, v in held.held.items() if k != second}
    told = ", ".join(f"{k} = {amount(law.variables[k].column)(v)}" for k, v in others.items())
    label = f"{column_title(law.target)} against {across.title} by {law.name}."
    return Panel(
        title=f"at {told}" if told else "",
        chart=marks.layered([encoded, *_words(lines, up, x, y, tints)], 280),
        label=label,
    )


def _words(lines: list[LawLine], up: Quantity, x: alt.X, y: alt.Y, tints: alt.Scale) -> list[alt.Chart]:
    """What each line stands for, in its colour, at the place where the lines are farthest apart."""
    drawn = [(level, line) for level, line in enumerate(lines) if line.label and len(line.x)]
    if not drawn:
        return []
    known = [line for _, line in drawn]
    place = max(_PLACES, key=lambda share: _apart(known, share, up))
    heights = _spaced(known, place, up)
    rows: list[Row] = [
        {"x": float(line.x[_index(line, place)]), "y": height, "text": line.label, "level": str(level)}
        for (level, line), height in zip(drawn, heights, strict=True)
    ]
    words = alt.Chart(marks.data(rows)).mark_text(
        align="left" if place < 0.5 else "right",
        baseline="bottom",
        dx=3 if place < 0.5 else -3,
        dy=-4,
        fontSize=10,
    )
    colour = alt.Color("level:N", scale=tints, legend=None)
    return [words.encode(x=x, y=y, text=alt.Text("text:N"), color=colour)]


def _spaced(lines: list[LawLine], place: float, up: Quantity) -> list[float]:
    """Heights of the labels: those of the lines, moved up where they would lie on each other."""
    heights = np.array([line.y[_index(line, place)] for line in lines])
    every = np.concatenate([line.y for line in lines])
    if up.logarithmic:
        heights, every = np.log(heights), np.log(every)
    least = _LABEL * max(float(np.ptp(every)), 1e-9)
    order = np.argsort(heights, kind="stable")
    for lower, upper in pairwise(order):
        heights[upper] = max(heights[upper], heights[lower] + least)
    return [float(one) for one in (np.exp(heights) if up.logarithmic else heights)]


_LABEL = 0.05
"""Height of a label, as a share of what the lines span."""
_PLACES = (1.0, 0.02, 0.85, 0.15, 0.5)


def _index(line: LawLine, share: float) -> int:
    return round(share * (len(line.x) - 1))


def _apart(lines: list[LawLine], share: float, up: Quantity) -> float:
    """Smallest distance of two labels; far apart is far enough, so that the first place wins a tie."""
    places = np.array([line.y[_index(line, share)] for line in lines])
    every = np.concatenate([line.y for line in lines])
    if up.logarithmic:
        places, every = np.log(places), np.log(every)
    gaps = np.diff(np.sort(places))
    return min(float(gaps.min()) / max(float(np.ptp(every)), 1e-300), 0.045) if len(gaps) else 1.0


def _visible(rows: list[Row], up: Quantity) -> list[float]:
    """Values that set the axis; a runaway corner of a law does not squeeze the rest into a line."""
    y = np.array([row["y"] for row in rows])
    if not up.logarithmic and len(y):
        low, high = np.quantile(y, [0.02, 0.98])
        reach = 4 * (high - low)
        y = np.clip(y, low - reach, high + reach)
    return [float(value) for value in y]


def _keys(known: bool) -> tuple[Key, ...]:
    keys = [Key(kind="line", label="law", colour=theme.INK)]
    if known:
        keys = [
            Key(kind="line", label="law over the published data", colour=theme.INK),
            Key(kind="dotted", label="extrapolation", colour=theme.INK, dash=(5, 4)),
        ]
    return tuple(keys)


def _rows_of_table(law: Law, source: _Source, letter: str, lines: list[LawLine]) -> list[tuple[str, ...]]:
    edges = _edges(source, letter)
    across, show = amount(law.variables[letter].column), amount(law.target)
    rows: list[tuple[str, ...]] = []
    for line in lines:
        for index in np.linspace(0, len(line.x) - 1, min(_TWIN_ROWS, len(line.x))).astype(int):
            x, y = float(line.x[index]), float(line.y[index])
            part = "drawn" if edges is None else FITTED if edges[0] <= x <= edges[1] else BEYOND
            rows.append((f"{letter} = {across(x)}", line.label or "–", part, show(y)))
    return rows
