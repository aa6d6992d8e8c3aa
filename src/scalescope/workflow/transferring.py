"""What pre-training on one text is worth on another: train, write the forecast down, measure it, report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalescope.errors import MissingExtraError, RunError
from scalescope.fitting.pretraining import (
    TunedForecast,
    forecast_tuned,
    is_tuned,
    scratch_curve,
    worth_of_pretraining,
)
from scalescope.points import Finding, write_json, write_runs
from scalescope.reports.transfer import TransferContents, transfer_report
from scalescope.studies.request import Request
from scalescope.workflow.progress import Progress, Watch

if TYPE_CHECKING:
    from scalescope.cost import Shape
    from scalescope.studies.status import Status
    from scalescope.studies.transfer import Transfer
    from scalescope.studies.transfer_study import TransferStudy

FORECAST = "forecast"
"""Under which the ledger has what is held out as it was forecast."""
UNCHECKED, OUTSIDE = "WFL010", "WFL011"
PHASES = {"fine-tune": "grid", "scratch": "grid"}
"""Both train side by side."""


def run_transfer(request: Request, watch: Watch | None = None) -> TransferContents:
    """Train on both texts and say what the first is worth on the second.

    Finished runs and kept weights stay whatever happens: the same call goes on where an earlier one stopped.

    Parameters
    ----------
    request
        With `design` transfer; `corpus` is the new text, `pretrain` the one before.
    watch
        Called about twice a second while models train.

    Raises
    ------
    InputError
        If a corpus, the budget or the folder cannot be used.
    RunError
        If no fine-tuned run can be compared with runs from scratch.
    """
    from scalescope.studies.collect import told_energy

    tell = watch or (lambda _: None)
    with _opened(request, watch) as work:
        design, machine = work.prepare()
        tell(Progress(phase="grid", notice=f"{design.summary()}\n{work.told(design, machine)}"))
        design = work.train(design, machine)
        _check_any(work)
        forecast = _forecast(work, design)
        if forecast is not None:
            work.held_out(design, machine)
            forecast = _measured(work, forecast)
        tell(Progress(phase="report"))
        contents = TransferContents(
            source=work.source.name,
            target=work.target.name,
            found=worth_of_pretraining(work.points(), seed=request.seed),
            forecast=forecast,
            rates=work.rates(),
            facts={
                **work.facts(design, machine),
                "Energy of the training": told_energy(work.ledger, request.grid),
            },
            command=request.command(),
            findings=(*work.findings(), *_doubts(forecast)),
        )
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_transfer(contents, request.out)
    return contents


def draft_transfer(request: Request) -> tuple[Transfer, str]:
    """Measure the machine and lay the design without training anything; return it and its cost in words."""
    with (
        tempfile.TemporaryDirectory(prefix="scalescope-") as folder,
        _opened(replace(request, out=Path(folder) / "study")) as work,
    ):
        design, machine = work.prepare()
        return design, work.told(design, machine)


@contextmanager
def _opened(request: Request, watch: Watch | None = None) -> Iterator[TransferStudy]:
    for name in ("torch", "safetensors"):
        if find_spec(name) is None:
            raise MissingExtraError(name, "train")
    from scalescope import executors
    from scalescope.studies import settings
    from scalescope.studies.opening_transfer import open_transfer

    power, wanted = request.power, request.settings(settings.Settings)
    with executors.open_executor(request.executor, address=request.address) as executor:
        work = open_transfer(request.out, wanted, executor, request)
        with work.ledger:
            work.power = power
            if watch is not None:
                work.watch = lambda status: watch(_progress(status))
            yield work


def _progress(status: Status) -> Progress:
    total = status.core_seconds_done + status.core_seconds_left
    return Progress(
        phase=PHASES.get(status.phase, status.phase),
        n_done=status.n_done,
        n_left=status.n_left,
        share_done=status.core_seconds_done / total if total else 0.0,
        seconds_left=status.seconds_left,
        last=status.last,
    )


def _check_any(work: TransferStudy) -> None:
    """Refuse a study in which nothing can be compared; a `RunError` with the first cause."""
    points = work.points()
    if not any(is_tuned(row) and scratch_curve(points, row) is not None for row in points):
        causes = [trial.cause for trial in work.ledger.trials("failed")]
        raise RunError(
            f"no fine-tuned run can be compared with runs from scratch{': ' + causes[0] if causes else ''}",
            hint="What is recorded stays; look at the causes in the ledger.",
        )


def _forecast(work: TransferStudy, design: Transfer) -> TunedForecast | None:
    """Return what was forecast of the held-out runs before they were made; None where there is no law."""
    noted = work.ledger.meta(FORECAST)
    if noted is not None:
        return TunedForecast.from_dict(noted)
    trials = [leg.trial for leg in design.legs().held_out]
    shape, tokens = trials[0].shape, trials[0].horizons[-1]
    points = [row for row in work.points() if not row["held_out"]]
    alike = [row for row in points if _is_of(row, shape)]
    curve = scratch_curve(points, alike[0]) if alike else None
    if curve is None:
        return None
    text = float(np.median([row["characters"] / row["tokens"] for row in alike])) * tokens
    found = worth_of_pretraining(points, seed=work.settings.seed)
    made = forecast_tuned(
        found,
        curve,
        size=float(shape.params_nonembedding),
        tokens=float(tokens),
        characters=text,
        n_seeds=len(trials),
    )
    if made is not None:
        work.ledger.set_meta(FORECAST, made.to_dict())
    return made


def _is_of(row: dict[str, object], shape: Shape) -> bool:
    return (row["width"], row["n_layers"], row["params"]) == (shape.width, shape.n_layers, shape.params)


def _measured(work: TransferStudy, forecast: TunedForecast) -> TunedForecast:
    losses = [row["loss"] for row in work.points() if row["held_out"]]
    return forecast.with_measured(float(np.mean(losses))) if losses else forecast


def _doubts(forecast: TunedForecast | None) -> list[Finding]:
    if forecast is None or forecast.measured is None:
        return [
            Finding(
                code=UNCHECKED,
                text="No fine-tuned run was held out and forecast: there is no law, or its runs failed.",
                hint="What pre-training is worth holds where it was measured only; give a larger budget.",
            )
        ]
    if forecast.agrees:
        return []
    return [
        Finding(
            code=OUTSIDE,
            text="The held-out fine-tuned run lies outside its forecast.",
            hint="Do not trust the law of what pre-training is worth beyond the runs that were made.",
        )
    ]


def write_transfer(contents: TransferContents, folder: Path) -> Path:
    """Write runs, law and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_runs(contents.found.runs, folder / "runs.csv")
    write_runs(contents.found.worth, folder / "transferred.csv")
    write_json(folder / "pretraining.json", contents.found.to_dict())
    if contents.found.fit is not None:
        write_json(folder / "fit.json", contents.found.fit.to_dict())
    return transfer_report(contents, folder / "report.html")
