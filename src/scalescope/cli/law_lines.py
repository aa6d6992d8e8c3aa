"""Which lines show a law in a terminal: its value against one variable, at a few values of a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scalescope.laws import Law, Published
from scalescope.points import COLUMNS
from scalescope.reports.sections import (
    beside,
    by_interest,
    chosen_set,
    is_of_curves,
    middle,
    section,
    spread,
)
from scalescope.units import format_count, format_flop, format_significant

if TYPE_CHECKING:
    from scalescope.points import Array

COUNTED = ("tokens", "batch", "characters", "examples", "interactions", "steps", "step", "samples")
"""First words of columns, beside those of parameters, whose numbers are written 1M and 3B."""
POINTS = 120
LINES = 3
SCHEDULES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a drawing."""

    at: float | None
    """Value of the second variable, base unit; None where there is none."""
    label: str
    """The same as text, such as `D = 20B`; for a training curve its learning rates."""
    x: Array
    """Main variable, base unit, shape (n,)."""
    y: Array
    """Value of the law in the unit of its target, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All lines of a law, and what they were made from."""

    coefficients: str
    """Name of the published set, or `examples`."""
    main: str
    """Letter of the variable along the horizontal axis."""
    second: str | None
    """Letter of the variable that differs from line to line."""
    held: Mapping[str, float]
    """Letter to value of all other variables but shares, base units."""
    logarithmic: tuple[bool, bool]
    """Whether the horizontal and the vertical axis are."""
    lines: tuple[Line, ...]


def draw(law: Law) -> Drawing:
    """Evaluate a law along its main variable, over the range of the published data where it is known."""
    name, published = chosen_set(law)
    theta = np.array(list(published.coefficients.values())) if published else law.examples
    main, second = main_variables(law)
    if is_of_curves(law):
        lines, held = _curves(law, theta, published)
    else:
        lines, held = _sections(law, theta, published, main, second)
    positive = all((line.y > 0).all() for line in lines)
    return Drawing(
        coefficients=name,
        main=main,
        second=second,
        held=held,
        logarithmic=(law.variables[main].logarithmic, law.scale == "log" and positive),
        lines=lines,
    )


def main_variables(law: Law) -> tuple[str, str | None]:
    """Return the letters of the main and the second variable.

    Of one or two variables the first is the main one. Of more it is the one that the law is about; unique
    data are the second variable beside all data.
    """
    letters = {one.column: letter for letter, one in law.variables.items()}
    if is_of_curves(law):
        return letters["step"], letters["curve"]
    for column, letter in letters.items():
        whole = column.removesuffix("_unique")
        if whole != column and whole in letters:
            return letters[whole], letter
    main = by_interest(law)[0]
    return main, beside(law, main)


def amount(column: str, value: float) -> str:
    """Write a value of a column: parameters and tokens as 70B, FLOP as 3e21, anything else in digits."""
    if column.startswith("params") or column.partition("_")[0] in COUNTED:
        return format_count(value)
    if COLUMNS[column].unit == "FLOP":
        return format_flop(value).removesuffix(" FLOP")
    if column == "year":
        return f"{value:.0f}"
    if float(value).is_integer() and abs(value) < 1e5:
        return f"{value:,.0f}"
    text = format_significant(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _sections(
    law: Law, theta: Array, published: Published | None, main: str, second: str | None
) -> tuple[tuple[Line, ...], dict[str, float]]:
    grid, others = spread(law, main, POINTS, published), middle(law, published)
    held = {
        letter: value
        for letter, value in others.items()
        if letter not in (main, second) and not law.variables[letter].column.startswith("share_")
    }
    if second is None:
        alone = section(law, main, grid, others)
        return (Line(at=None, label="", x=alone.x, y=law.value(theta, **alone.at)),), held
    lines = []
    for at in spread(law, second, LINES, published).tolist():
        one = section(law, main, grid, others | {second: at})
        label = f"{second} = {amount(law.variables[second].column, at)}"
        lines.append(Line(at=at, label=label, x=one.x, y=law.value(theta, **one.at)))
    return tuple(lines), held


def _curves(law: Law, theta: Array, published: Published | None) -> tuple[tuple[Line, ...], dict[str, float]]:
    """Lines of a law of whole curves: the schedules that it is tested with, sizes at their middle."""
    x = law.design(SCHEDULES * POINTS)
    held = {
        letter: value
        for letter, value in middle(law, published).items()
        if law.variables[letter].column not in ("curve", "step", "learning_rate")
    }
    x |= {letter: np.full(len(x["step"]), value) for letter, value in held.items()}
    y = law.value(theta, **x)
    lines = []
    for number in np.unique(x["curve"])[:SCHEDULES]:
        own = x["curve"] == number
        first, last = (format_significant(x["rate"][own][place], 1) for place in (0, -1))
        lines.append(Line(at=float(number), label=f"rate {first} to {last}", x=x["step"][own], y=y[own]))
    return tuple(lines), held
