"""`scalescope study --design transfer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalescope.studies.request import Request


def study_transfer(request: Request, *, dry_run: bool, as_json: bool, strict: bool) -> int:
    """Run a transfer study, or lay it only, and print what it found."""
    from scalescope import workflow
    from scalescope.cli.output import answer
    from scalescope.cli.progress import UNNUMBERED, showing

    if dry_run:
        design, cost = workflow.draft_transfer(request)
        plain = {**design.to_dict(), "cost": cost}
        return answer(
            f"{design.summary()}\n{cost}", plain, as_json=as_json, next_step="the same without --dry-run"
        )
    with showing(phases=UNNUMBERED) as watch:
        contents = workflow.run_transfer(request, watch)
    page = request.out / "report.html"
    return answer(
        f"{contents.summary()}\nreport: {page}",
        contents.to_dict(),
        as_json=as_json,
        findings=(*contents.found.findings, *contents.findings),
        strict=strict,
        next_step=f"open {page} in a browser",
    )
