"""The page of a plan: the answer, what binds, findings, the other options, figures, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scalescope.planning.decision import Decision
from scalescope.reports.figures.base import Figure
from scalescope.reports.plan import tables, text
from scalescope.reports.plan.frontier import frontier_figure
from scalescope.reports.plan.layouts import layouts_figure
from scalescope.reports.plan.parts import MEMORY, STEP, parts_figure
from scalescope.reports.plan.spending import spending_figure
from scalescope.reports.plan.tornado import tornado_figure
from scalescope.reports.sheets import checked, drawn, environment, written
from scalescope.reports.tables import Table
from scalescope.units import format_percent

FIGURES: dict[str, Callable[[Decision], Figure | None]] = {
    "frontier": frontier_figure,
    "spending": spending_figure,
    "memory": lambda decision: parts_figure(decision, MEMORY),
    "step": lambda decision: parts_figure(decision, STEP),
    "layouts": layouts_figure,
    "tornado": tornado_figure,
}
"""In the order of the page; None where the decision does not have what the figure shows."""

FIRST: tuple[Callable[[Decision], Table | None], ...] = (tables.options_table, tables.numbers_table)
LAST: tuple[Callable[[Decision], Table | None], ...] = (
    tables.shapes_table,
    tables.off_table,
    tables.experiments_table,
    tables.assumptions_table,
)
"""Tables before and after the figures."""


def plan_page(decision: Decision, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    The page needs no network and no server, and shows its answer and tables where scripts are off. What the
    decision does not have is left out.

    Parameters
    ----------
    decision
        All that is shown.
    path
        Where the page goes, such as `plan.html`; the twin has the same name and ends in `.json`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    beside = checked(path)
    return written(path, render_plan(decision, beside.name), decision.to_dict())


def render_plan(decision: Decision, twin_name: str = "plan.json") -> str:
    """Return the page as text; `twin_name` is the file beside it."""
    drawing = drawn(FIGURES, decision, packed=True)
    first = [table for build in FIRST if (table := build(decision)) is not None]
    return (
        environment()
        .get_template("plan.html.j2")
        .render(
            title=f"a plan under {decision.scenario.law}",
            answer=text.answer(decision),
            answer_note=text.answer_note(decision),
            check=text.binding(decision),
            tiles=text.tiles(decision),
            marks=text.MARKS,
            findings=decision.findings,
            first=first,
            tables=[table for build in LAST if (table := build(decision)) is not None],
            commands=decision.commands,
            asked=tables.asked(decision.scenario),
            facts=_facts(decision),
            twin_name=twin_name,
            **drawing,
        )
    )


def _facts(decision: Decision) -> dict[str, str]:
    source, scenario = decision.provenance, decision.scenario
    facts = {
        "Law": scenario.law,
        "Intervals": f"{format_percent(decision.level)}, from {scenario.draws:,} draws of the law, the "
        "constants and the inputs together",
        "Law from": source.source,
        "Hash of the input": source.digest,
        "Seed": f"{scenario.seed}",
        "Version": f"scalescope {source.version}",
        "Machine": source.machine,
    }
    return {name: value for name, value in facts.items() if value}
