"""Runs alone, before any law: what was measured, against compute and size."""

from __future__ import annotations

from scalescope.points import Array, Runs
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks
from scalescope.reports.figures.base import Figure, Panel
from scalescope.reports.tables import Table
from scalescope.units import format_count, format_flop, format_loss


def measured_runs(contents: Contents) -> Figure | None:
    """The runs of a report that has no law to draw through them; None where there is one."""
    return None if contents.fits else runs_figure(contents.runs)


def runs_figure(runs: Runs) -> Figure:
    """Draw a table of runs: loss against compute and against size."""
    by_compute = _panel(runs, runs.compute, axes.COMPUTE_TITLE, "compute")
    by_size = _panel(runs, runs.size, axes.size_title(runs.count), "size")
    return Figure(
        name="runs-figure",
        title="Measured runs",
        caption="Held-out loss of every run. No law is drawn here: nothing beyond these dots is claimed.",
        panels=(by_compute, by_size),
        keys=tuple(marks.run_keys(runs, marks.group_colours(runs))),
        table=_table(runs),
    )


def _panel(runs: Runs, column: Array, title: str, word: str) -> Panel:
    show = axes.bare_flop if word == "compute" else format_count
    x = axes.log_x("x", title, axes.padded(column.tolist(), 0.04), show)
    y = axes.loss_y("y", axes.padded(runs.loss.tolist(), 0.05))
    points = marks.measured(marks.run_rows(runs, column, runs.loss), x, y, marks.group_colours(runs))
    label = f"Loss of {len(runs)} runs against {word}."
    return Panel(title=f"Loss against {word}", chart=marks.layered(points, 300), label=label)


def _table(runs: Runs) -> Table:
    """What the runs span; all of them stand at the end of a report."""
    spans = (
        ("Parameters N", runs.size, format_count),
        ("Tokens D", runs.tokens, format_count),
        ("Compute C", runs.compute, format_flop),
        ("Loss L, nats/token", runs.loss, format_loss),
    )
    rows = tuple((name, show(float(col.min())), show(float(col.max()))) for name, col, show in spans)
    return Table(
        name="runs-span", title="What the runs span", columns=("Quantity", "Lowest", "Highest"), rows=rows
    )
