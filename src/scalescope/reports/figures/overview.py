"""Runs alone, before any law: what was measured, against compute and size."""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError
from scalescope.points import Array, Runs
from scalescope.points.columns import BOOKKEEPING, OUTCOMES, SIZES
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks
from scalescope.reports.figures.base import Figure, Panel
from scalescope.reports.figures.quantities import Quantity, amount, column_title
from scalescope.reports.tables import Table


def measured_runs(contents: Contents) -> Figure | None:
    """The runs of a report that has no law to draw through them; None where there is one."""
    return None if contents.fits else runs_figure(contents.runs)


def runs_figure(runs: Runs) -> Figure:
    """Draw a table: loss against compute and against size, or its outcome against what it varies."""
    outcome, against = shown_columns(runs)
    panels = tuple(_panel(runs, column, outcome) for column in against)
    return Figure(
        name="runs-figure",
        title="Measured runs",
        caption=f"{column_title(outcome)} of every run. No law is drawn here: nothing beyond these dots is "
        "claimed.",
        panels=panels,
        keys=tuple(marks.run_keys(runs, marks.group_colours(runs))),
        table=_table(runs, (*against, outcome)),
    )


def shown_columns(runs: Runs) -> tuple[str, tuple[str, ...]]:
    """Column that is drawn, and the two or fewer that it is drawn against.

    Raises
    ------
    InputError
        If the table has no outcome, or nothing that varies.
    """
    outcome = next((name for name in OUTCOMES if name in runs), None)
    if outcome is None:
        raise InputError(
            "the table has nothing that was measured", hint=f"Such as {', '.join(OUTCOMES[:3])}."
        )
    free = [name for name in runs.columns if name not in (*OUTCOMES, *BOOKKEEPING, "seed")]
    ranked = [name for name in ("compute", runs.count) if name in free]
    ranked += [name for name in free if name not in ranked and name not in SIZES]
    varied = [name for name in ranked if np.ptp(_known(runs, name)) > 0]
    if not varied:
        raise InputError("no column of the table varies", hint="Add runs at other settings.")
    return outcome, tuple(varied[:2])


def _known(runs: Runs, name: str) -> Array:
    column = runs[name]
    return column[np.isfinite(column)] if np.isfinite(column).any() else np.zeros(1)


def _panel(runs: Runs, name: str, outcome: str) -> Panel:
    column, y_column = runs[name], runs[outcome]
    kept = np.isfinite(column) & np.isfinite(y_column)
    across = _quantity(runs, name, column[kept])
    up = _quantity(runs, outcome, y_column[kept])
    x = across.x("x", across.domain(column[kept].tolist(), 0.04))
    y = up.y("y", up.domain(y_column[kept].tolist(), 0.05))
    points = marks.measured(marks.run_rows(runs, column, y_column, kept), x, y, marks.group_colours(runs))
    word = "size" if name == runs.count else name.replace("_", " ")
    label = f"{column_title(outcome)} of {len(runs)} runs against {word}."
    title = f"{column_title(outcome).split(',')[0]} against {word}"
    return Panel(title=title, chart=marks.layered(points, 300), label=label)


def _quantity(runs: Runs, name: str, values: Array) -> Quantity:
    title = axes.size_title(name) if name == runs.count else column_title(name)
    wide = bool((values > 0).all()) and float(values.max()) > _WIDE * float(values.min())
    return Quantity(title=title, show=amount(name), logarithmic=wide or name == "loss", loss=name == "loss")


_WIDE = 4.0
"""Highest over lowest value from which an axis is logarithmic."""


def _table(runs: Runs, names: tuple[str, ...]) -> Table:
    """What the runs span; all of them stand at the end of a report."""
    extra = [name for name in ("tokens",) if name in runs and name not in names]
    rows = []
    for name in (*names[:-1], *extra, names[-1]):
        known = _known(runs, name)
        title = axes.size_title(name) if name == runs.count else column_title(name)
        rows.append((title, *(amount(name)(float(end)) for end in (known.min(), known.max()))))
    return Table(
        name="runs-span",
        title="What the runs span",
        columns=("Quantity", "Lowest", "Highest"),
        rows=tuple(rows),
    )
