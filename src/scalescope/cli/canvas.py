"""A law as a picture of plain characters: lines of braille dots, round ticks, a label on every line.

plotext draws lines, frame and ticks. It is given logarithms, since its own logarithmic scale places no ticks
of ours. Where labels go is decided here: without colours a legend could not tell lines apart.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalescope.cli.law_lines import Drawing, amount
from scalescope.laws import Law
from scalescope.points import COLUMNS

if TYPE_CHECKING:
    from scalescope.points import Array

WIDTH = 76
HEIGHT = 19
FRAME = (8, 4)
"""Characters that ticks, frame and the name of the axis take, across and down."""
DIGITS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))
"""Leading digits of logarithmic ticks, the sparser first."""
MARGIN = 0.04
"""Free share of the vertical axis at either end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: which column, from where to where (in logarithms where it is logarithmic)."""

    column: str
    low: float
    high: float
    logarithmic: bool

    def scaled(self, values: Array) -> Array:
        """Values as they are drawn."""
        return np.log10(values) if self.logarithmic else values

    def ticks(self, most: int) -> list[float]:
        """Round values inside the axis, as many as there is room for."""
        if self.logarithmic:
            found = _log_ticks(self.low, self.high, most)
            if len(found) > 2:
                return found
            return _even_ticks(10**self.low, 10**self.high, most)
        return _even_ticks(self.low, self.high, most)


def picture(law: Law, drawing: Drawing) -> str:
    """Draw a law, `WIDTH` characters wide, without any escape code."""
    import plotext

    across, up = _axes(law, drawing)
    lines = [(across.scaled(line.x), up.scaled(line.y)) for line in drawing.lines]
    figure: Any = plotext.figure  # there is only this one
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(WIDTH, HEIGHT)
    for x, y in lines:
        figure.draw(figure.signal(x.tolist(), y.tolist(), marker="braille").lines())
    for at, height, label in _labels(lines, [line.label for line in drawing.lines], across, up):
        figure.draw(figure.text(at, height, f" {label} ", alignment="center"))
    for name, axis, most in (("x", across, 6), ("y", up, 7)):
        ticks = axis.ticks(most)
        shown = [amount(axis.column, tick) for tick in ticks]
        figure.ruler(name).lim(axis.low, axis.high).ticks(axis.scaled(np.array(ticks)).tolist(), shown)
    figure.label(axis_title(across.column, drawing.main), "x")
    drawn: str = figure.build().string(colorless=True)
    head = law.formula.partition(" = ")[0]
    letter = head if re.fullmatch(r"\w+\*?(\(.*\))?", head) else ""
    return "\n".join([axis_title(law.target, letter), *(row.rstrip() for row in drawn.rstrip().splitlines())])


def axis_title(column: str, letter: str) -> str:
    """Quantity, letter and unit: `Tokens D`, `Compute C, FLOP`."""
    words = column.replace("params", "parameters").replace("_", " ")
    unit = COLUMNS[column].unit
    named = f"{words[0].upper()}{words[1:]} {letter}".rstrip()
    if letter.lower() == words.lower():
        named = letter if len(letter) < 3 else letter.capitalize()
    return f"{named}, {unit}" if unit and unit not in column else named


def _axes(law: Law, drawing: Drawing) -> tuple[Axis, Axis]:
    x, y = (np.concatenate([getattr(line, name) for line in drawing.lines]) for name in "xy")
    column = law.variables[drawing.main].column
    across = Axis(column=column, low=0.0, high=1.0, logarithmic=drawing.logarithmic[0])
    up = Axis(column=law.target, low=0.0, high=1.0, logarithmic=drawing.logarithmic[1])
    spans = [(float(axis.scaled(v).min()), float(axis.scaled(v).max())) for axis, v in ((across, x), (up, y))]
    pad = MARGIN * (spans[1][1] - spans[1][0])
    return (
        Axis(column=column, low=spans[0][0], high=spans[0][1], logarithmic=across.logarithmic),
        Axis(column=law.target, low=spans[1][0] - pad, high=spans[1][1] + pad, logarithmic=up.logarithmic),
    )


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    found: list[float] = []
    decades = range(math.floor(low), math.ceil(high) + 1)
    for digits in DIGITS:
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        inside = [tick for tick in ticks if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
        if digits == (1,):
            inside = inside[:: max(math.ceil(len(inside) / most), 1)]
        if len(inside) > most:
            break
        found = inside
    return found


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _labels(
    lines: list[tuple[Array, Array]], labels: list[str], across: Axis, up: Axis
) -> list[tuple[float, float, str]]:
    """Place and text of every label, in the units of the axes."""
    row = (up.high - up.low) / (HEIGHT - FRAME[1])
    cell = (across.high - across.low) / (WIDTH - FRAME[0])
    placed: list[tuple[float, float, float]] = []
    out = []
    for index, label in enumerate(labels):
        half = (len(label) + 2) / 2 * cell
        places = np.linspace(across.low + half, across.high - half, 25)
        x, y = lines[index]
        rated = []
        for at in places[(places >= x.min()) & (places <= x.max())] if label else ():
            height = float(np.interp(at, x, y))
            if all(abs(height - b) > 1.5 * row or abs(at - a) > 1.1 * (half + c) for a, b, c in placed):
                others = [other for number, other in enumerate(lines) if number != index]
                rated.append((_room(at, height, half, others, 4 * row), float(at), height))
        if rated:
            _, at, height = max(rated, key=lambda one: one[0])
            placed.append((at, height, half))
            out.append((at, height, label))
    return out


def _room(at: float, height: float, half: float, others: list[tuple[Array, Array]], most: float) -> float:
    """Distance from a label to the nearest of the other lines, at most `most`."""
    near = np.linspace(at - half, at + half, 9)
    gaps = [float(np.abs(np.interp(near, *other) - height).min()) for other in others]
    return min([*gaps, most])
