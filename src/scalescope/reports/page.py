"""The page of a study or a table of runs: sentences, figures, tables, and how they were computed."""

from __future__ import annotations

from pathlib import Path

from scalescope.reports import tables, text
from scalescope.reports.contents import Contents
from scalescope.reports.sheets import (
    SCRIPTS,
    Tile,
    checked,
    drawn,
    emphasis,
    environment,
    interval,
    is_number,
    mark,
    written,
)
from scalescope.units import format_factor, format_loss

__all__ = ["SCRIPTS", "Tile", "emphasis", "interval", "is_number", "render", "report", "tiles"]


def report(contents: Contents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    Sections whose content is absent are left out. The page needs no network and no server, and shows its
    conclusions and tables where scripts are off.

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
    page = render(contents, checked(path).name)
    return written(path, page, contents.to_dict())


def render(contents: Contents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the JSON file that it points to."""
    from scalescope.reports.figures import FIGURES

    drawing = drawn(FIGURES, contents)
    forecast = text.headlined(contents)
    within = None if forecast is None else text.inside(forecast)
    page = environment().get_template("report.html.j2")
    return page.render(
        contents=contents,
        title=contents.title,
        answer=text.answer(contents),
        answer_note=text.answer_note(contents),
        check=text.check(contents),
        **mark(within),
        tiles=tiles(contents),
        findings=text.findings(contents),
        other_findings=text.other_findings(contents),
        tables=tables.tables(contents),
        runs=tables.all_runs(contents),
        facts=_facts(contents),
        twin_name=twin_name,
        **drawing,
    )


def tiles(contents: Contents) -> list[Tile]:
    """Pick what a decision needs beside the answer: exponents, what being wrong costs, what more buys."""
    plan = contents.plan
    if plan is None or not plan.allocations:
        return []
    first = plan.allocations[0]
    size, gain = plan.size_exponent, first.gain_of_tenfold
    made = [
        Tile(label="Size exponent a of N* ∝ C^a", **_split(text.shown(size, text.two_digits))),
        Tile(label="Tokens per parameter", **_split(text.shown(first.tokens_per_param, text.two_digits))),
    ]
    for penalty in first.penalties:
        if penalty.factor == 2:
            cost = text.shown(penalty.compute_waste, format_factor)
            made.append(Tile(label="Compute for the same loss if the size is 2x too large", **_split(cost)))
    made.append(
        Tile(label="Loss that ten times more compute takes off", **_split(text.shown(gain, format_loss)))
    )
    return made


def _split(shown: str) -> dict[str, str]:
    value, _, interval = shown.partition(" [")
    return {"value": value, "interval": "[" + interval if interval else ""}


def _facts(contents: Contents) -> dict[str, str]:
    """What the workflow says about the making, and where the runs and the fit came from."""
    facts = dict(contents.facts)
    fit = contents.fits.get(contents.headline)
    source = contents.runs.provenance
    if source.source:
        facts.setdefault("Runs from", source.source)
    if source.digest:
        facts.setdefault("Hash of the input", source.digest)
    if fit is not None:
        options = ", ".join(f"{key} {value}" for key, value in fit.provenance.options.items())
        if options:
            facts.setdefault("Options of the fit", options)
        if fit.certificate is not None:
            share = fit.certificate.share_at_optimum
            told = f"{round(share * fit.certificate.n_starts)} of {fit.certificate.n_starts} starts"
            facts.setdefault("Optimum", f"{told} ended at the same best objective")
    facts.setdefault("Version", f"scalescope {source.version}")
    facts.setdefault("Machine", source.machine)
    return facts
