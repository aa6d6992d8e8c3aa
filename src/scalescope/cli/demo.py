"""`scalescope demo`."""

from __future__ import annotations

from pathlib import Path

from scalescope.cli.options import AsJson


def demo(*, out: Path = Path("demo"), as_json: AsJson = False) -> int:
    """Run fit, forecast, plan and report on a bundled table.

    The table is the runs of our own default study; the demonstration trains nothing.

    Parameters
    ----------
    out
        Folder for the report and its files.
    as_json
        Print all that the report shows as JSON.
    """
    import scalescope
    from scalescope.cli.output import answer

    result = scalescope.demo(out)
    return answer(
        f"report: {out / 'report.html'}",
        result.to_dict(),
        as_json=as_json,
        findings=result.findings,
        next_step="scalescope study trains such a ladder on your own corpus",
    )
