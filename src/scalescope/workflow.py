"""The file that chains the verbs: train, fit, forecast, train the held-out rung, plan, report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from scalescope.errors import FitError, InputError, RunError
from scalescope.fitting import SURFACES, Fit, exponent_by_count, fit, fit_all, roll
from scalescope.laws import get_law
from scalescope.planning import (
    Forecast,
    NextRun,
    choose_headline,
    forecast,
    forecast_held_out,
    next_run,
    plan,
    with_measurement,
)
from scalescope.points import Finding, Runs, read_runs, to_plain, write_json, write_runs
from scalescope.reports import Contents, Curve, report
from scalescope.studies.request import EngineName, Request
from scalescope.units import format_count, parse_budget, parse_flop

if TYPE_CHECKING:
    from scalescope.studies.design import Design
    from scalescope.studies.driver import Status
    from scalescope.studies.machine import Machine
    from scalescope.studies.study import Study
    from scalescope.training.recipe import Recipe

MULTIPLES = (10.0, 100.0, 1000.0)
"""Budgets that are planned for unless others are asked, as multiples of what was spent."""
ESTIMATE_EVERY_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a study stands, with the current estimate."""

    phase: str
    """`tune`, `grid`, `held-out`, then `report`."""
    n_done: int = 0
    n_left: int = 0
    share_done: float = 0.0
    """Of the phase, by core-seconds."""
    seconds_left: float | None = None
    """Of the whole study, fits and report left out."""
    estimate: str = ""
    last: str = ""
    """What happened last."""
    notice: str = ""
    """Something to be shown once, such as the design before it runs."""


Watch = Callable[[Progress], None]


def contents_of(
    runs: Runs,
    *,
    title: str = "Scaling of the given runs",
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
    targets: Sequence[float] | None = None,
    noted: Sequence[Forecast] | None = None,
    curves: Sequence[Curve] = (),
    facts: Mapping[str, str] | None = None,
    command: str = "",
    findings: Sequence[Finding] = (),
) -> Contents:
    """Fit every law that the runs allow, forecast the held-out runs, plan, and gather it for a report.

    Parameters
    ----------
    targets
        Budgets in FLOP; 10, 100 and 1000 times what was spent if not given.
    noted
        Forecasts of the held-out runs that were written down earlier; made here if not given.

    Raises
    ------
    InputError
        If no law that can be planned with fits these runs; the message is that of the parametric one.
    """
    fits, unfitted = fit_all(runs, resamples=resamples, level=level, seed=seed)
    holdouts = tuple(one for law in fits for one in roll(runs, law, seed=seed))
    forecasts = noted if noted is not None else forecast_held_out(fits, holdouts, runs)
    measured = tuple(with_measurement(one, runs) for one in forecasts)
    headline = choose_headline(fits, measured, holdouts)
    budgets = list(targets) if targets else [runs.spent * multiple for multiple in MULTIPLES]
    other = next((fits[law] for law in SURFACES if law in fits and law != headline), None)
    exponents = exponent_by_count(runs, resamples=resamples, level=level, seed=seed)
    return Contents(
        title=title,
        runs=runs,
        fits=fits,
        headline=headline,
        plan=plan(fits[headline], budgets, alternative=other, past=holdouts),
        forecasts=measured,
        written_before=noted is not None,
        holdouts=holdouts,
        curves=tuple(curves),
        facts=dict(facts or {}),
        exponents_by_count={name: (one.value, one.low, one.high) for name, one in exponents.items()},
        command=command,
        findings=(*findings, *runs.findings, *unfitted, *_verdict(measured, headline)),
    )


def _verdict(forecasts: Sequence[Forecast], headline: str) -> tuple[Finding, ...]:
    missed = [
        one
        for one in forecasts
        if one.law == headline and one.measured and not one.loss.low <= one.measured <= one.loss.high
    ]
    return tuple(
        Finding(
            code="WFL002",
            text=f"The held-out rung measured {one.measured:.3f} nats/token, outside the forecast's interval "
            f"{one.loss.low:.3f} to {one.loss.high:.3f}.",
            hint="Take every forecast of this study with that much doubt, and add a dearer rung.",
        )
        for one in missed
    )


def demo(out: Path = Path("demo")) -> Contents:
    """Run fit, forecast, plan and report on the bundled runs of our own default study."""
    with resources.as_file(resources.files("scalescope.points") / "bundled" / "default_study.json") as path:
        runs = read_runs(path)
    contents = contents_of(
        runs,
        title="How byte-level transformers scale on Python's standard library",
        facts=_bundled_facts(),
        command="scalescope demo",
    )
    write_all(contents, out)
    return contents


def _bundled_facts() -> dict[str, str]:
    text = (resources.files("scalescope.points") / "bundled" / "default_study_facts.json").read_text("utf-8")
    return msgspec.json.decode(text, type=dict[str, str])


def write_all(contents: Contents, folder: Path) -> Path:
    """Write runs, fits, plan and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_runs(contents.runs, folder / "runs.csv")
    write_runs(contents.runs, folder / "runs.json")
    for law, found in contents.fits.items():
        write_json(folder / f"fit-{law}.json", found.to_dict())
    write_json(folder / "fit.json", contents.fits[contents.headline].to_dict())
    if contents.plan is not None:
        write_json(folder / "plan.json", contents.plan.to_dict())
    return report(contents, folder / "report.html")


def study(
    corpus: str | None = None,
    *,
    out: Path = Path("study"),
    budget: str = "10m",
    design: Literal["isoflop", "ladder"] = "isoflop",
    context: int = 128,
    precision: Literal["fp32", "bf16"] = "fp32",
    tokenizer: Path | None = None,
    text_column: str = "text",
    executor: EngineName = "local",
    address: str | None = None,
    seed: int = 0,
    targets: Sequence[str] = (),
    extend: bool = False,
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
        Wall time such as `10m`, or training FLOP such as `3e15`.
    design
        Sizes at equal compute, or ever larger models at fixed ratios of tokens.
    context
        Length of a sequence in tokens.
    tokenizer
        A file of the library `tokenizers`; bytes if not given.
    text_column
        Where the text is in JSONL and Parquet.
    executor, address
        Where the runs are made: this machine, or the Ray cluster at an address.
    seed
        Of initialisation, data order and resamples.
    targets
        Compute that the plan is for, such as `1e21`; 10, 100 and 1000 times what was spent if not given.
    extend
        Whether a finished study may go on with another budget or design.
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
    request = Request(
        corpus=corpus,
        out=out,
        budget=budget,
        design=design,
        context=context,
        precision=precision,
        tokenizer=tokenizer,
        text_column=text_column,
        executor=executor,
        address=address,
        seed=seed,
        targets=tuple(targets),
        extend=extend,
    )
    budgets = [parse_flop(target) for target in request.targets]
    tell = watch or (lambda _: None)
    with _opened(request, watch) as work:
        laid, machine, recipe = work.prepare()
        tell(Progress(phase="grid", notice=f"{laid.summary()}\n{work.cost(laid, machine, recipe)}"))
        work.grid(laid, machine, recipe)
        _check_any(work)
        noted = _forecast_then_measure(work, laid, machine, recipe)
        tell(Progress(phase="report"))
        contents = contents_of(
            work.runs(),
            title=f"How transformers scale on {work.corpus.name}",
            seed=request.seed,
            targets=budgets or None,
            noted=noted,
            curves=[
                Curve(
                    name=curve["name"],
                    params=curve["params"],
                    tokens=tuple(map(float, curve["tokens"])),
                    loss=tuple(curve["loss"]),
                    held_out=curve["held_out"],
                )
                for curve in work.curves()
            ],
            facts=work.facts(laid, machine, recipe),
            command=request.command(),
            findings=(*work.corpus.findings, *work.findings()),
        )
        work.ledger.set_meta("seconds_spent", work.seconds_spent)
        write_all(contents, request.out)
    return contents


def draft(
    corpus: str | None = None,
    *,
    budget: str = "10m",
    design: Literal["isoflop", "ladder"] = "isoflop",
    context: int = 128,
    precision: Literal["fp32", "bf16"] = "fp32",
    tokenizer: Path | None = None,
    text_column: str = "text",
    executor: EngineName = "local",
    address: str | None = None,
    seed: int = 0,
) -> tuple[Design, str]:
    """Measure the machine and lay the design without training anything; return it and its cost in words.

    The parameters are those of `study`.
    """
    with tempfile.TemporaryDirectory(prefix="scalescope-") as folder:
        request = Request(
            corpus=corpus,
            out=Path(folder) / "study",
            budget=budget,
            design=design,
            context=context,
            precision=precision,
            tokenizer=tokenizer,
            text_column=text_column,
            executor=executor,
            address=address,
            seed=seed,
        )
        with _opened(request, None) as work:
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
    from scalescope.points import read_json
    from scalescope.studies.collect import collect_runs
    from scalescope.studies.ledger import Ledger

    with Ledger.read(folder) as ledger:
        runs = collect_runs(ledger)
    path = folder / "fit.json"
    if not path.is_file():
        raise InputError(f"{folder} has no fit yet", hint="Let `scalescope study` finish first.")
    found = Fit.from_dict(read_json(path))
    return next_run(found, runs, target=target or runs.spent * MULTIPLES[1], top=top)


def _forecast_then_measure(
    work: Study, design: Design, machine: Machine, recipe: Recipe
) -> tuple[Forecast, ...]:
    """Choose the held-out rung by the fit, write its forecasts down, train it."""
    from scalescope.studies.family import nearest_shape

    seed = work.settings.seed
    if work.ledger.meta("held_out") is None:
        runs = work.runs()
        fits, _ = fit_all(runs, resamples=300, level=0.9, seed=seed)
        holdouts = tuple(one for law in fits for one in roll(runs, law, seed=seed))
        compute = work.held_out_compute(design, machine, recipe)
        if compute < 1.3 * float(runs.compute[~runs.held_out].max()):
            work.ledger.record_finding(
                Finding(
                    code="WFL003",
                    text="No time was left for a held-out rung beyond the grid.",
                    hint="The forecasts are unchecked; give the study more time.",
                )
            )
            return _forecasts(work)
        trusted = choose_headline(fits, (), holdouts)
        if design.kind == "ladder":
            shape = design.held_out_guess()
        else:
            best = plan(fits[trusted], [compute]).allocations[0]
            shape = nearest_shape(best.params.value, design.vocabulary, design.context)
        horizon = max(1, round(compute / (6 * shape.params_matmul) / shape.context)) * shape.context
        made = [
            forecast(found, params=shape.params_matmul, tokens=horizon, past=holdouts)
            for found in fits.values()
            if len(get_law(found.law).variables) > 1
        ]
        for one in made:
            work.ledger.note("forecast", one.to_dict())
        work.ledger.set_meta(
            "held_out",
            {"shape": to_plain(shape, "shape"), "horizon": horizon, "compute": compute, "law": trusted},
        )
    work.held_out(machine, recipe)
    return _forecasts(work)


def _forecasts(work: Study) -> tuple[Forecast, ...]:
    """Return what was forecast of the rungs that were measured, the latest rung first."""
    noted = [Forecast.from_dict(note.data) for note in work.ledger.notes("forecast")]
    latest = noted[::-1]
    # A study that was killed while it noted them has the same forecasts twice.
    distinct = {(one.params, one.tokens, one.law): one for one in latest}
    runs = work.runs()
    known = [one for one in distinct.values() if with_measurement(one, runs).measured is not None]
    order = list(dict.fromkeys((one.params, one.tokens) for one in latest))
    return tuple(
        one
        for setting in order
        for one in sorted(known, key=lambda one: one.law)
        if (one.params, one.tokens) == setting
    )


def _check_any(work: Study) -> None:
    from scalescope.studies.collect import TUNE

    if all(point.data["phase"] == TUNE for point in work.ledger.points()):
        causes = [trial.cause for trial in work.ledger.trials("failed")]
        raise RunError(
            f"no trial gave a point{': ' + causes[0] if causes else ''}",
            hint="Look at the causes in the ledger, or lower the learning rate.",
        )


@contextmanager
def _opened(request: Request, watch: Watch | None) -> Iterator[Study]:
    """Open everything that a study needs, and close it however the study ends."""
    _need_torch()
    from scalescope.executors import open_executor
    from scalescope.studies.settings import Settings
    from scalescope.studies.study import open_study

    settings = Settings(
        budget=parse_budget(request.budget),
        design=request.design,
        context=request.context,
        precision=request.precision,
        seed=request.seed,
    )
    with open_executor(request.executor, address=request.address) as executor:
        work = open_study(
            request.out,
            settings,
            executor,
            source=request.corpus,
            tokenizer=request.tokenizer,
            text_column=request.text_column,
            extend=request.extend,
        )
        with work.ledger:
            work.watch = _Watcher(work, watch) if watch is not None else work.watch
            yield work


def _need_torch() -> None:
    from importlib.util import find_spec

    from scalescope.errors import MissingExtraError

    if find_spec("torch") is None:
        raise MissingExtraError("torch", "train")


class _Watcher:
    """Turns the driver's status into progress, with a quick fit every few seconds."""

    def __init__(self, work: Study, watch: Watch) -> None:
        self.work, self.watch = work, watch
        self.estimate = ""
        self.next = 0.0
        self.n_fitted = 0

    def __call__(self, status: Status) -> None:
        if status.n_done != self.n_fitted and time.monotonic() > self.next:
            self.estimate = quick_estimate(self.work)
            self.next = time.monotonic() + ESTIMATE_EVERY_SECONDS
            self.n_fitted = status.n_done
        total = status.core_seconds_done + status.core_seconds_left
        self.watch(
            Progress(
                phase=status.phase,
                n_done=status.n_done,
                n_left=status.n_left,
                share_done=status.core_seconds_done / total if total else 0.0,
                seconds_left=status.seconds_left,
                estimate=self.estimate,
                last=status.last,
            )
        )


def quick_estimate(work: Study) -> str:
    """Return what the points so far say, in a few words; empty while they say nothing."""
    try:
        runs = work.runs()
        found = fit(runs, "isoflop", resamples=0)
        best = plan(found, [runs.spent * MULTIPLES[0]]).allocations[0]
    except (InputError, FitError):
        return ""
    return (
        f"N* ~ C^{found.coefficients['a'].value:.2f}; 10x: {format_count(best.params.value)} parameters, "
        f"loss {best.loss.value:.3f}"
    )
