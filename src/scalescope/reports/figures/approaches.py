"""The three approaches of Hoffmann et al. (2022) beside each other: exponent, best size, best tokens."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt

from scalescope.fitting.approaches import NAMES, Approach, Approaches
from scalescope.points import Estimate
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.figures.quantities import Quantity
from scalescope.reports.tables import Table
from scalescope.reports.text import number, reach_text, shown, two_digits
from scalescope.units import format_count, format_flop

QUANTITIES: tuple[tuple[str, str, Callable[[float], str], bool], ...] = (
    ("size_exponent", "Exponent a of the best size", two_digits, False),
    ("size", "Best parameters N*", format_count, True),
    ("tokens", "Best tokens D*", format_count, True),
    ("tokens_per_param", "Tokens per parameter D*/N*", two_digits, True),
)
"""Field of an approach, its axis, how its numbers stand, whether the axis is logarithmic."""


def approaches_beside(contents: Contents) -> Figure | None:
    """Draw the approaches that a report has; None without them."""
    return None if contents.approaches is None else approaches_figure(contents.approaches)


def approaches_figure(found: Approaches) -> Figure:
    """One panel a quantity, one line an approach: its estimate with its interval."""
    at = format_flop(found.compute)
    missed = "".join(f" Approach {name} was not possible: {why}." for name, why in found.missed.items())
    extrapolated = found.reach > 1
    return Figure(
        name="approaches",
        title="Three approaches to the optimum",
        caption=f"The optimum at {at}, {reach_text(found.reach)}, read from the same runs in three ways. "
        f"Intervals that do not overlap say that a form is wrong here.{missed}",
        panels=tuple(_panel(found, *quantity) for quantity in QUANTITIES),
        keys=(
            Key(
                kind="extrapolation" if extrapolated else "fitted",
                label="estimate with its interval" + (", an extrapolation" if extrapolated else ""),
                colour=theme.INK,
            ),
        ),
        table=_table(found),
        twin_open=True,
    )


def name_of(row: Approach) -> str:
    """Name an approach by what it looks at."""
    return f"{row.name.split()[0]} {NAMES[row.name]}"


SHORT: dict[str, str] = {"1": "1 envelope", "2": "2 parabolas", "2 corrected": "2 corrected", "3": "3 law"}
"""Approach to its name beside a panel."""


def _panel(found: Approaches, field: str, title: str, show: Callable[[float], str], log: bool) -> Panel:
    rows = [_row(row, getattr(row, field), show, index) for index, row in enumerate(found.rows)]
    ends = [row[key] for row in rows for key in ("x", "low", "high") if key in row]
    counted = f" ({axes.COUNT_WORDS.get(found.count, found.count)})"
    quantity = Quantity(
        title=title + counted if field in ("size_exponent", "size") else title, show=show, logarithmic=log
    )
    x = quantity.x("x", quantity.domain(ends, 0.08))
    x["axis"]["grid"] = True
    sort = alt.SortField("order")
    names = alt.Axis(labelLimit=120, labelFontSize=12, domain=False, ticks=False, title=None)
    y = alt.Y("approach:N", sort=sort, axis=names)
    dash = [5, 3] if found.reach > 1 else [1, 0]
    spans = [row for row in rows if "low" in row]
    bars = alt.Chart(marks.data(spans)).mark_rule(strokeWidth=2.2, strokeDash=dash, stroke=theme.INK.light)
    dots = alt.Chart(marks.data(rows)).mark_point(
        shape="square", size=70, strokeWidth=2, stroke=theme.INK.light, fill=theme.PAPER.light, opacity=1
    )
    layers = [dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]
    if spans:
        layers.insert(0, bars.encode(x=axes.other(x, "low"), x2=alt.X2("high"), y=y))
    label = f"{title} by {', '.join(name_of(row) for row in found.rows)}."
    return Panel(title="", chart=marks.layered(layers, 30 * len(rows) + 16), label=label)


def _row(row: Approach, estimate: Estimate, show: Callable[[float], str], order: int) -> Row:
    made: Row = {
        "approach": SHORT.get(row.name, row.name),
        "order": order,
        "x": estimate.value,
        "about": shown(estimate, show),
    }
    if estimate.low < estimate.high:
        made |= {"low": estimate.low, "high": estimate.high}
    return made


def _table(found: Approaches) -> Table:
    rows = tuple(
        (
            name_of(row),
            shown(row.size_exponent, two_digits),
            shown(row.token_exponent, two_digits),
            shown(row.size, format_count),
            shown(row.tokens, format_count),
            shown(row.tokens_per_param, two_digits),
        )
        for row in found.rows
    )
    columns = ("Approach", "a of N* ∝ C^a", "b of D* ∝ C^b", "N*", "D*", "Tokens per parameter")
    counted = "; ".join(
        f"{number(one.value, two_digits)} where N counts {axes.COUNT_WORDS.get(name, name)}"
        for name, one in found.exponents_by_count.items()
    )
    return Table(
        name="approaches-table",
        title=f"The optimum at {format_flop(found.compute)}",
        columns=columns,
        rows=rows,
        note=f"Exponent a of the parabolas: {counted}." if len(found.exponents_by_count) > 1 else "",
    )
