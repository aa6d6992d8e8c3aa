"""The page of a transfer study: the answer, its check, findings, figures, tables, how it was computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scalescope.reports.figures.base import Figure
from scalescope.reports.sheets import checked, drawn, environment, mark, written
from scalescope.reports.transfer import sections
from scalescope.reports.transfer.contents import TransferContents
from scalescope.reports.transfer.figures import curves_figure, worth_figure

FIGURES: dict[str, Callable[[TransferContents], Figure | None]] = {
    "curves": curves_figure,
    "worth": worth_figure,
}
"""In the order of the page."""


def transfer_report(contents: TransferContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    beside = checked(path)
    return written(path, render_transfer(contents, beside.name), contents.to_dict())


def render_transfer(contents: TransferContents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the file beside it."""
    forecast = contents.forecast
    return (
        environment()
        .get_template("levers.html.j2")
        .render(
            title=contents.title,
            answer=contents.answer(bold="**"),
            answer_note=contents.note(),
            check=contents.check(bold="**"),
            **mark(None if forecast is None else forecast.agrees),
            tiles=sections.tiles(contents.found),
            findings=list(dict.fromkeys((*contents.found.findings, *contents.findings))),
            tables=sections.tables(contents),
            facts=sections.how(contents),
            command=contents.command,
            twin_name=twin_name,
            **drawn(FIGURES, contents, packed=True),
        )
    )
