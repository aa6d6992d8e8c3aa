"""`scalescope study --design mixture` and `--design repetition`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalescope.studies.request import Request


def study_data(request: Request, *, as_json: bool, strict: bool) -> int:
    """Run a study over data and print what it found."""
    from scalescope import workflow
    from scalescope.cli.output import answer
    from scalescope.cli.progress import showing
    from scalescope.reports.data_study import MixtureContents

    run = workflow.run_mixture if request.design == "mixture" else workflow.run_repetition
    with showing() as watch:
        contents = run(request, watch)
    found = contents.mixtures if isinstance(contents, MixtureContents) else contents.repetition
    page = request.out / "report.html"
    return answer(
        f"{found.summary()}\nreport: {page}",
        contents.to_dict(),
        as_json=as_json,
        findings=(*found.findings, *contents.findings),
        strict=strict,
        next_step=f"open {page} in a browser",
    )
