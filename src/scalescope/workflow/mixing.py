"""A study over mixtures: train a design of them, fit, forecast the best one, train it, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalescope.fitting.mixtures import MixtureForecast, Mixtures, best_mixture
from scalescope.fitting.mixtures.estimation import forecast_mixture
from scalescope.points import Array, Finding, Runs, from_plain, to_plain, write_json, write_runs
from scalescope.reports.data_study import MixtureContents, mixture_report
from scalescope.studies.request import Request
from scalescope.units import format_loss
from scalescope.workflow.opening import check_any, opened
from scalescope.workflow.progress import Progress, Watch

if TYPE_CHECKING:
    from scalescope.studies.design import Design, Rung
    from scalescope.studies.prepared import Ready
    from scalescope.studies.study import Study

RANDOM = "random mixture"
NOTE, SCHEMA = "forecast-mixture", "scalescope.mixture-forecast/1"


def run_mixture(request: Request, watch: Watch | None = None) -> MixtureContents:
    """Train mixtures of a corpus's sources, and find the one with the lowest held-out loss.

    All mixtures are trained at one size and token count. The law of data mixing is fitted to the loss on
    every source; what it says of the best mixture and of a random one is written down, then both are
    trained. The same call goes on where an earlier one stopped.

    Raises
    ------
    InputError
        If the corpus has fewer than two sources, or the budget or the folder cannot be used.
    RunError
        If no trial gave a point.
    """
    from scalescope.studies.collect import told_energy

    tell = watch or (lambda _: None)
    with opened(request, watch) as work:
        design, ready = work.prepare()
        tell(Progress(phase="grid", notice=f"{design.summary()}\n{work.told(design, ready)}"))
        work.grid(design, ready)
        check_any(work)
        noted = _forecast(work, design, request)
        work.more(ready, [rung for rungs in _rungs(work, design, noted).values() for rung in rungs])
        tell(Progress(phase="report"))
        contents = _contents(work, design, ready, request, noted)
        facts = {**contents.facts, "Energy of the training": told_energy(work.ledger, request.grid)}
        contents = replace(contents, facts=facts)
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_mixtures(contents, request.out)
    return contents


def _names(work: Study) -> tuple[str, ...]:
    return tuple(source.name for source in getattr(work.corpus, "sources", ()))


def _found(work: Study, request: Request) -> Mixtures:
    from scalescope.studies.collect import GRID
    from scalescope.studies.mixing import recipe_of
    from scalescope.studies.over_data import collect_by_source

    runs = collect_by_source(work.ledger, _names(work), GRID)
    recipe = recipe_of(work.corpus)  # type: ignore[arg-type]  # only a text has sources
    return best_mixture(runs, recipe=recipe, target=work.settings.target, seed=request.seed)


def _forecast(work: Study, design: Design, request: Request) -> tuple[MixtureForecast, ...]:
    """Write down what is expected of the best mixture and of a random one; once."""
    from scalescope.studies.mixing import random_mixture

    noted = work.ledger.notes(NOTE)
    if noted:
        return tuple(from_plain(MixtureForecast, one.data, SCHEMA) for one in noted[:2])
    found = _found(work, request)
    k = len(found.laws)
    random = forecast_mixture(found, RANDOM, random_mixture(k, design.rungs[0].seed, 1000))
    made = (found.forecasts[0], random)
    for one in made:
        work.ledger.note(NOTE, to_plain(one, SCHEMA))
    return made


def _rungs(work: Study, design: Design, noted: tuple[MixtureForecast, ...]) -> Mapping[str, list[Rung]]:
    """Return the trials of every forecast, by its name: two seeds of the best mixture."""
    from scalescope.studies.mixing import HELD_OUT_SEEDS, mixed_rung

    base, names = design.rungs[0], _names(work)
    seeds = {noted[0].name: HELD_OUT_SEEDS} | {one.name: 1 for one in noted[1:]}
    return {
        one.name: [
            replace(
                mixed_rung(base, f"{one.name.replace(' ', '-')}-s{base.seed + extra}", names, one.shares),
                seed=base.seed + extra,
            )
            for extra in range(seeds[one.name])
        ]
        for one in noted
    }


def _contents(
    work: Study, design: Design, ready: Ready, request: Request, noted: tuple[MixtureForecast, ...]
) -> MixtureContents:
    from scalescope.studies.over_data import collect_by_source

    found = _found(work, request)
    runs = collect_by_source(work.ledger, _names(work))
    rungs = _rungs(work, design, noted)
    measured = tuple(_measured(one, runs, {rung.name for rung in rungs[one.name]}, found) for one in noted)
    return MixtureContents(
        title=f"Mixtures of {', '.join(found.names)}",
        runs=runs,
        mixtures=found.with_forecasts(measured),
        facts=work.facts(design, ready),
        command=request.command(),
        findings=(*_missed(measured), *work.findings()),
    )


def _measured(
    one: MixtureForecast, runs: Mapping[str, Runs], names: set[str], found: Mixtures
) -> MixtureForecast:
    """Add the mean of the trainings of a mixture to its forecast."""
    tables = list(runs.values())
    rows = np.array([name in names for name in tables[0].names]) & tables[0].held_out
    if not rows.any():
        return one
    losses: Array = np.array([table.loss[rows].mean() for table in tables])
    return replace(
        one,
        measured=tuple(losses.tolist()),
        measured_loss=float(losses @ found.target),
        n_runs=int(rows.sum()),
    )


def _missed(measured: tuple[MixtureForecast, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code="STU046",
            text=f"The {one.name} measured {format_loss(one.measured_loss)} nats, outside the forecast's "
            f"interval {format_loss(one.loss.low)} to {format_loss(one.loss.high)}.",
            hint="Take the laws with that much doubt, and trust what was measured.",
        )
        for one in measured
        if one.inside is False and one.measured_loss is not None
    )


def write_mixtures(contents: MixtureContents, folder: Path) -> Path:
    """Write runs, laws and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, runs in enumerate(contents.runs.values(), start=1):
        write_runs(runs, folder / f"runs-{number}.csv")
        write_runs(runs, folder / f"runs-{number}.json")
    write_json(folder / "mixtures.json", contents.mixtures.to_dict())
    return mixture_report(contents, folder / "report.html")
