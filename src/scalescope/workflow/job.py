"""The main job: train a grid, write the forecast down, train the held-out rung, report."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scalescope.errors import InputError
from scalescope.fitting import Fit
from scalescope.metering import Tool
from scalescope.planning import NextRun, next_run
from scalescope.reports import Contents, Curve
from scalescope.studies.request import EngineName, Request
from scalescope.training.trial_settings import Precision
from scalescope.units import parse_flop
from scalescope.workflow.analysis import MULTIPLES, contents_of, write_all
from scalescope.workflow.held_out import forecast_then_measure
from scalescope.workflow.opening import check_any, opened, requested
from scalescope.workflow.progress import Progress, Watch

if TYPE_CHECKING:
    from scalescope.studies.design import Design
    from scalescope.studies.study import Study


def study(
    corpus: str | None = None,
    *,
    out: Path = Path("study"),
    budget: str | None = None,
    design: Literal["isoflop", "ladder"] | None = None,
    context: int | None = None,
    precision: Precision | None = None,
    tokenizer: Path | None = None,
    text_column: str | None = None,
    executor: EngineName | None = None,
    address: str | None = None,
    seed: int | None = None,
    targets: Sequence[str] | None = None,
    extend: bool = False,
    watts: float | None = None,
    meter: Tool | None = None,
    grid: str | None = None,
    config: Path | None = None,
    watch: Watch | None = None,
) -> Contents:
    """Train a grid of small models on a corpus, hold the largest out, fit, forecast, plan and report.

    Finished runs are kept whatever happens: the same call goes on where an earlier one stopped.

    Parameters
    ----------
    corpus
        A file or folder of text, JSONL, Parquet, or `hf:NAME`; the source text of Python's standard library
        if not given.
    out
        Folder of the study.
    budget
        Wall time such as `10m`, which it is if not given, or training FLOP such as `3e15`.
    design
        Sizes at equal compute, as usual, or ever larger models at fixed ratios of tokens (`ladder`).
    context
        Length of a sequence in tokens; 128 if not given.
    precision
        Numbers of the matrix products; `fp32` if not given.
    tokenizer
        A file of the library `tokenizers`; bytes if not given.
    text_column
        Where the text is in JSONL and Parquet.
    executor, address
        Where the runs are made: this machine, or the Ray cluster at an address.
    seed
        Of initialisation, data order and resamples; 0 if not given.
    targets
        Compute that the plan is for, such as `1e21`; 10, 100 and 1000 times what was spent if not given.
    extend
        Whether a finished study may go on with another budget or design.
    watts
        Power of the whole machine at work, assumed for energy where nothing meters it.
    meter
        What meters energy: the machine's own counters, or the library `codecarbon`.
    grid
        Country whose electricity it is, such as `France` or `DEU`, for carbon.
    config
        A TOML file with any of these, and with recipe and shapes; see `scalescope.studies.config`. What is
        given here wins over it.
    watch
        Called about twice a second while models train.

    Returns
    -------
    Contents
        All that the report shows; `report.html` and its data lie in `out`.

    Raises
    ------
    InputError
        If the corpus, the budget or the folder cannot be used.
    RunError
        If no trial gave a point.
    """
    given = {
        "corpus": corpus,
        "out": out,
        "budget": budget,
        "design": design,
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
        "targets": tuple(targets) if targets else None,
    }
    return run_study(requested(given, config), watch)


def run_study(request: Request, watch: Watch | None = None) -> Contents:
    """Do what `study` does, for a request; see there."""
    if request.vary:
        raise InputError(
            f"this study varies {', '.join(request.vary)}",
            hint="Variants are compared by `scalescope.compare_levers`, which `--vary` calls.",
        )
    if request.design in ("mixture", "repetition", "transfer"):
        raise InputError(
            f"a study of {request.design} answers another question",
            hint=f"Call `scalescope.workflow.run_{request.design}`, as the command line does.",
        )
    budgets = [parse_flop(target) for target in request.targets]
    from scalescope.studies.collect import told_energy

    tell = watch or (lambda _: None)
    with opened(request, watch) as work:
        laid, ready = work.prepare()
        tell(Progress(phase="grid", notice=f"{laid.summary()}\n{work.told(laid, ready)}"))
        work.grid(laid, ready)
        check_any(work)
        noted = forecast_then_measure(work, laid, ready)
        tell(Progress(phase="report"))
        energy = told_energy(work.ledger, request.grid)
        contents = contents_of(
            work.runs(),
            title=_title(work),
            seed=request.seed,
            targets=budgets or None,
            noted=noted,
            curves=_curves(work),
            facts={**work.facts(laid, ready), "Energy of the training": energy},
            command=request.command(),
            findings=work.findings(),
        )
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_all(contents, request.out)
    return contents


def _title(work: Study) -> str:
    """Words for the page, with what tokens and losses are where they are not those of a text."""
    from scalescope.studies.telling import UNITS

    units = UNITS[work.settings.task]
    return f"How transformers scale on {work.corpus.name}" + (f" ({units})" if units else "")


def _curves(work: Study) -> list[Curve]:
    return [
        Curve(
            name=curve["name"],
            params=curve["params"],
            tokens=tuple(map(float, curve["tokens"])),
            loss=tuple(curve["loss"]),
            held_out=curve["held_out"],
        )
        for curve in work.curves()
    ]


def draft(request: Request) -> tuple[Design, str]:
    """Measure the machine and lay the design without training anything.

    Nothing is written to the study's folder. Returns the design, and in words what its variants are, where
    there are any, and what it will cost.
    """
    with (
        tempfile.TemporaryDirectory(prefix="scalescope-") as folder,
        opened(replace(request, out=Path(folder) / "study")) as work,
    ):
        return work.draft()


def suggest(folder: Path, *, target: float | None = None, top: int = 5) -> tuple[NextRun, ...]:
    """Name the cheap runs that would narrow the decision of a finished study most.

    Parameters
    ----------
    folder
        Of the study.
    target
        Budget of the decision in FLOP; 100 times what was spent if not given.
    """
    from scalescope.ledgers.ledger import Ledger
    from scalescope.points import read_json
    from scalescope.studies.collect import collect_runs

    with Ledger.read(folder) as ledger:
        runs = collect_runs(ledger)
    path = folder / "fit.json"
    if not path.is_file():
        raise InputError(f"{folder} has no fit yet", hint="Let `scalescope study` finish first.")
    found = Fit.from_dict(read_json(path))
    return next_run(found, runs, target=target or runs.spent * MULTIPLES[1], top=top)
