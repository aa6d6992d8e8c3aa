"""A study over repetition: sizes x unique tokens x epochs, the law, the most repeated run, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.fitting.repetition import Repetition, RepetitionForecast, forecast_repeated, worth_of_epochs
from scalescope.points import Finding, from_plain, to_plain, write_json, write_runs
from scalescope.reports.data_study import RepetitionContents, repetition_report
from scalescope.studies.request import Request
from scalescope.units import format_loss
from scalescope.workflow.opening import check_any, opened
from scalescope.workflow.progress import Progress, Watch

if TYPE_CHECKING:
    from scalescope.studies.design import Design
    from scalescope.studies.study import Study

NOTE, SCHEMA = "forecast-repetition", "scalescope.repetition-forecast/1"


def run_repetition(request: Request, watch: Watch | None = None) -> RepetitionContents:
    """Train sizes on little and on much text, over and over, and say what a token read again is worth.

    The most repeated run of the largest size is forecast, written down, and only then trained. The same call
    goes on where an earlier one stopped.

    Raises
    ------
    InputError
        If the corpus is too short for fresh twins, or the budget or the folder cannot be used.
    RunError
        If no trial gave a point.
    """
    from scalescope.studies.collect import told_energy
    from scalescope.studies.repeating import held_out_rungs

    tell = watch or (lambda _: None)
    with opened(request, watch) as work:
        design, ready = work.prepare()
        tell(Progress(phase="grid", notice=f"{design.summary()}\n{work.told(design, ready)}"))
        work.grid(design, ready)
        check_any(work)
        noted = _forecast(work, design, request)
        work.more(ready, held_out_rungs(design))
        tell(Progress(phase="report"))
        found = _measured(work, worth_of_epochs(work.runs(), seed=request.seed), noted)
        contents = RepetitionContents(
            title=f"Repeated tokens of {work.corpus.name}",
            repetition=found,
            facts={
                **work.facts(design, ready),
                "Energy of the training": told_energy(work.ledger, request.grid),
            },
            command=request.command(),
            findings=(*_missed(found), *work.findings()),
        )
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_repetition(contents, request.out)
    return contents


def _forecast(work: Study, design: Design, request: Request) -> RepetitionForecast:
    """Write down what is expected of the most repeated run; once."""
    from scalescope.studies.repeating import held_out_rungs
    from scalescope.studies.sizes import size_of

    noted = work.ledger.notes(NOTE)
    if noted:
        return from_plain(RepetitionForecast, noted[0].data, SCHEMA)
    rungs = held_out_rungs(design)
    made = forecast_repeated(
        worth_of_epochs(work.runs(), seed=request.seed),
        size=float(size_of(rungs[0].shape)),
        tokens=float(rungs[0].horizons[-1]),
        unique=float(rungs[0].reading.unique_tokens),
        n_runs=len(rungs),
    )
    work.ledger.note(NOTE, to_plain(made, SCHEMA))
    return made


def _measured(work: Study, found: Repetition, noted: RepetitionForecast) -> Repetition:
    """Add the mean of the held-out trainings to the forecast."""
    runs = work.runs()
    rows = runs.held_out
    if not rows.any():
        return found.with_forecast(noted)
    loss = float(runs.loss[rows].mean())
    return found.with_forecast(replace(noted, measured=loss, n_runs=int(rows.sum())))


def _missed(found: Repetition) -> tuple[Finding, ...]:
    one = found.forecast
    if one is None or one.measured is None or one.inside:
        return ()
    return (
        Finding(
            code="STU054",
            text=f"The most repeated run measured {format_loss(one.measured)} nats, outside the forecast's "
            f"interval {format_loss(one.loss.low)} to {format_loss(one.loss.high)}.",
            hint="The law does not hold that far: beyond the epochs fitted, trust no forecast of it.",
        ),
    )


def write_repetition(contents: RepetitionContents, folder: Path) -> Path:
    """Write runs, law and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    found = contents.repetition
    write_runs(found.runs, folder / "runs.csv")
    write_runs(found.runs, folder / "runs.json")
    write_json(folder / "repetition.json", found.to_dict())
    write_json(folder / "fit.json", found.fit.to_dict())
    return repetition_report(contents, folder / "report.html")
