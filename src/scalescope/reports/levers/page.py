"""The page of levers: the answer, its check, findings, figures, tables, and how it was computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scalescope.fitting.multipliers.text import answer, noise_text
from scalescope.reports.figures.base import Figure
from scalescope.reports.levers import sections
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.levers.losses import losses_figure
from scalescope.reports.levers.paired import paired_figure
from scalescope.reports.levers.tuning import tuning_figure
from scalescope.reports.levers.worth import worth_figure
from scalescope.reports.sheets import checked, drawn, environment, mark, written

FIGURES: dict[str, Callable[[LeverContents], Figure | None]] = {
    "worth": worth_figure,
    "losses": losses_figure,
    "paired": paired_figure,
    "tuning": tuning_figure,
}
"""In the order of the page; None where the contents do not have what the figure shows."""


def levers_report(contents: LeverContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    The page needs no network and no server, and shows its answer and tables where scripts are off.

    Parameters
    ----------
    contents
        All that is shown.
    path
        Where the page goes, such as `report.html`; the twin has the same name and ends in `.json`.

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
    return written(path, render_levers(contents, beside.name), contents.to_dict())


def render_levers(contents: LeverContents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the file beside it."""
    made = contents.multipliers
    drawing = drawn(FIGURES, contents, packed=True)
    check, agrees = sections.check(made)
    return (
        environment()
        .get_template("levers.html.j2")
        .render(
            title=contents.title,
            answer=answer(made, bold="**"),
            answer_note=sections.note(made, noise_text(made)),
            check=check,
            **mark(agrees),
            tiles=sections.tiles(made),
            findings=list(dict.fromkeys((*made.findings, *contents.findings))),
            tables=[sections.ranking(made), sections.forms(made)],
            facts=sections.how(contents),
            command=contents.command,
            twin_name=twin_name,
            **drawing,
        )
    )
