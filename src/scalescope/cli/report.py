"""`scalescope report`."""

from __future__ import annotations

from pathlib import Path

from scalescope.cli.options import AsJson, FitOptions, Strict
from scalescope.cli.output import answer


def report(
    source: str,
    /,
    *,
    out: Path | None = None,
    options: FitOptions | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Write one page with the answer, the figures and the tables.

    Parameters
    ----------
    source
        The folder of a study, or a table of runs, which is then fitted, planned and held out.
    out
        The page; by default `report.html` in the study's folder, or here for a table.
    as_json
        Print all that the page shows as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    from scalescope.cli.inputs import read_contents
    from scalescope.reports import report as write

    contents = read_contents(source, options or FitOptions())
    folder = Path(source)
    page = write(contents, out or (folder if folder.is_dir() else Path()) / "report.html")
    return answer(
        f"report: {page}",
        contents.to_dict(),
        as_json=as_json,
        findings=contents.findings,
        strict=strict,
        next_step=f"open {page} in a browser",
    )
