"""Levers as compute multipliers: train one ladder for every variant, fit them together, report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.errors import FitError, InputError, RunError
from scalescope.fitting import Fit, compute_multipliers, fit
from scalescope.metering import Tool
from scalescope.points import Runs, write_json, write_runs
from scalescope.reports.levers import LeverContents, levers_report
from scalescope.studies.request import EngineName, Request
from scalescope.training.trial_settings import Precision
from scalescope.workflow.opening import check_any, opened, requested
from scalescope.workflow.progress import Progress, Watch

if TYPE_CHECKING:
    from scalescope.studies.design import Design
    from scalescope.studies.prepared import Ready
    from scalescope.studies.study import Study

LAW = "chinchilla"
"""Fitted to every variant alone, beside the joint fit of the multipliers."""


def compare_levers(
    corpus: str | None = None,
    *,
    vary: Mapping[str, Sequence[str]] | None = None,
    out: Path = Path("study"),
    budget: str | None = None,
    context: int | None = None,
    precision: Precision | None = None,
    tokenizer: Path | None = None,
    text_column: str | None = None,
    executor: EngineName | None = None,
    address: str | None = None,
    seed: int | None = None,
    extend: bool = False,
    watts: float | None = None,
    meter: Tool | None = None,
    grid: str | None = None,
    config: Path | None = None,
    watch: Watch | None = None,
) -> LeverContents:
    """Train the same ladder for every variant, each at its own best rate, and say what each is worth.

    Worth is how many times the compute the baseline needs for the same loss. Finished runs are kept whatever
    happens: the same call goes on where an earlier one stopped.

    Parameters
    ----------
    vary
        What is varied, with its values as on the command line, the baseline's first:
        `{"optimizer": ["adamw", "muon"]}`. Of several levers each value is compared with one common baseline.
    config
        A TOML file with any of these, and with recipe and shapes; see `scalescope.studies.config`. What is
        given here wins over it.
    corpus, out, budget, context, precision, tokenizer, text_column
        As for `study`; the budget is for all variants together.
    executor, address, seed, extend, watts, meter, grid, watch
        As for `study`.

    Returns
    -------
    LeverContents
        All that the report shows; `report.html` and its data lie in `out`.

    Raises
    ------
    InputError
        If a lever or one of its values is unknown, or the corpus, the budget or the folder cannot be used.
    RunError
        If fewer than two variants gave a point, or the baseline gave none.
    """
    given = {
        "corpus": corpus,
        "out": out,
        "budget": budget,
        "context": context,
        "precision": precision,
        "tokenizer": tokenizer,
        "text_column": text_column,
        "executor": executor,
        "address": address,
        "seed": seed,
        "extend": extend,
        "watts": watts,
        "meter": meter,
        "grid": grid,
        "vary": {name: tuple(values) for name, values in vary.items()} if vary else None,
    }
    return run_comparison(requested(given, config), watch)


def run_comparison(request: Request, watch: Watch | None = None) -> LeverContents:
    """Do what `compare_levers` does, for a request; see there."""
    if not request.vary:
        raise InputError("nothing is varied", hint="Give vary, such as optimizer=adamw,muon.")
    tell = watch or (lambda _: None)
    with opened(request, watch) as work:
        design, ready = work.prepare()
        tell(Progress(phase="grid", notice=f"{design.summary()}\n{work.told(design, ready)}"))
        work.grid(design, ready)
        check_any(work)
        tell(Progress(phase="report"))
        contents = _contents(work, design, ready, request)
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_levers(contents, request.out, _fits(contents.runs, request.seed))
    return contents


def _contents(work: Study, design: Design, ready: Ready, request: Request) -> LeverContents:
    from scalescope.studies.arms import told
    from scalescope.studies.collect import told_energy

    runs = _runs(work)
    rates = {name: tried for name, tried in _rates(work).items() if name in runs}
    multipliers = compute_multipliers(runs, work.arms[0].name, seed=request.seed, rates=rates)
    energy = told_energy(work.ledger, request.grid)
    return LeverContents(
        title=told(request.vary),
        runs=runs,
        multipliers=multipliers,
        rates=rates,
        facts={**work.facts(design, ready), "Energy of the training": energy},
        command=request.command(),
        findings=work.findings(),
    )


def _runs(work: Study) -> dict[str, Runs]:
    """Return the runs of every variant that gave any; an error where nothing is left to compare."""
    runs = {}
    for arm in work.arms:
        try:
            runs[arm.name] = work.runs(arm.name)
        except InputError:
            continue
    missing = [arm.name for arm in work.arms if arm.name not in runs]
    if work.arms[0].name in missing or len(runs) < 2:
        causes = [trial.cause for trial in work.ledger.trials("failed")]
        raise RunError(
            f"{' and '.join(missing)} gave no point, and nothing is left to compare"
            f"{': ' + causes[0] if causes else ''}",
            hint="What is recorded stays; look at the causes in the ledger.",
        )
    return runs


def _rates(work: Study) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the rates tried for every variant on the larger of its two rungs, with their losses."""
    found: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {}
    for note in work.ledger.notes("rate"):
        name, size = note.data["arm"], float(note.data["size"])
        if note.data["tried"] and size >= found.get(name, (0.0, ()))[0]:
            found[name] = size, tuple((float(rate), float(loss)) for rate, loss in note.data["tried"])
    return {name: tried for name, (_, tried) in found.items()}


def _fits(runs: Mapping[str, Runs], seed: int) -> dict[str, Fit]:
    """Fit every variant alone; those that cannot be are left out."""
    fits = {}
    for name, table in runs.items():
        try:
            fits[name] = fit(table, LAW, seed=seed)
        except (InputError, FitError):
            continue
    return fits


def write_levers(contents: LeverContents, folder: Path, fits: Mapping[str, Fit]) -> Path:
    """Write runs, multipliers, fits and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, runs in contents.runs.items():
        write_runs(runs, folder / f"runs-{_slug(name)}.csv")
        write_runs(runs, folder / f"runs-{_slug(name)}.json")
    for name, found in fits.items():
        write_json(folder / f"fit-{_slug(name)}.json", found.to_dict())
    write_json(folder / "multipliers.json", contents.multipliers.to_dict())
    return levers_report(contents, folder / "report.html")


def _slug(name: str) -> str:
    """Return a variant's name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9.=+-]+", "-", name).strip("-.") or "variant"
