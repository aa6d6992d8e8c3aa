"""`scalescope study`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from scalescope.cli.options import AsJson, Strict
from scalescope.cli.study_data import study_data
from scalescope.cli.study_transfer import study_transfer

if TYPE_CHECKING:
    from scalescope.reports import Contents
    from scalescope.studies.request import Request


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """What is trained, on what, and where.

    Parameters
    ----------
    budget
        Wall time such as 10m, the default, or training FLOP such as 3e15; for all variants together.
    design
        Sizes at equal compute (isoflop, the default), ever larger models at a fixed ratio of tokens (ladder),
        mixtures of the corpus's sources (mixture), text read again and again (repetition), or fine-tuning
        beside training from scratch (transfer).
    pretrain
        Corpus that the models of a transfer study are trained on before, given as the corpus is.
    context
        Length of a sequence in tokens, 128 by default.
    precision
        Numbers of the matrix products: fp32, the default, bf16 where the device is faster with it, fp16, int8
        or fp8.
    tokenizer
        A `tokenizers` JSON file; by default tokens are bytes.
    text_column
        Column that holds the text in JSONL and Parquet, `text` by default.
    executor
        Where the runs are made: this machine (local, the default), or a Ray cluster (ray).
    address
        Address of the Ray cluster, host:port.
    seed
        Seed of initialisation, data order and resamples, 0 by default.
    watts
        Power of the whole machine at work, assumed for energy where nothing meters it.
    meter
        What meters energy: the machine's own counters (auto, the default), or the library codecarbon.
    grid
        Country whose electricity it is, such as France or DEU, for carbon; the world by default.
    """

    budget: str | None = None
    design: Literal["isoflop", "ladder", "mixture", "repetition", "transfer"] | None = None
    pretrain: str | None = None
    context: int | None = None
    precision: Literal["fp32", "bf16", "fp16", "int8", "fp8"] | None = None
    tokenizer: Path | None = None
    text_column: str | None = None
    executor: Literal["local", "ray"] | None = None
    address: str | None = None
    seed: int | None = None
    watts: float | None = None
    meter: Literal["auto", "codecarbon"] | None = None
    grid: str | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by name."""
        options = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in options.items() if value is not None}


def study(
    corpus: str | None = None,
    /,
    *,
    out: Path = Path("study"),
    options: StudyOptions | None = None,
    vary: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = (),
    config: Path | None = None,
    target: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = (),
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    extend: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    next_: Annotated[bool, Parameter(name="--next", negative="", show_default=False)] = False,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Train a ladder of small models on a corpus, then fit, forecast, plan and report.

    With --vary, train the same ladder for every value instead, each at its own best learning rate, and say
    how many times the compute the first one, the baseline, needs for the loss of the others. With --design
    mixture or repetition, say which mixture of sources is best, or what a token read again is worth;
    with --design transfer, what pre-training on another corpus is worth in text of this one.

    The same command goes on where an earlier one stopped. Ctrl-C keeps all finished runs.

    Parameters
    ----------
    corpus
        A file or folder of text, a JSONL or Parquet file, or hf:NAME for a data set; by default the source
        text of this Python's standard library. A folder that `scalescope corpus build` left, too.
    vary
        A setting and its values, the baseline's first, such as optimizer=adamw,muon or experts=dense,8x2; may
        be repeated.
    config
        TOML file with any of these options and with recipe, shapes and what is varied; options win over it.
    out
        Folder of the study: ledger, runs, fit, plan and report.
    target
        Compute that the plan is for, such as 1e21; may be repeated. By default 10, 100 and 1000 times what
        was spent.
    dry_run
        Print the design and what it will cost, and stop.
    extend
        Allow a finished study to grow by another budget.
    next_
        Name the cheap runs that would narrow the decision most, and stop.
    as_json
        Print all that the report shows as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    if next_:
        return _next(out, target, as_json)
    from scalescope import workflow
    from scalescope.studies.arms import parse_vary

    given = (options or StudyOptions()).given() | {"corpus": corpus, "out": out, "extend": extend}
    given |= {"targets": target or None, "vary": parse_vary(vary) or None}
    request = workflow.requested(given, config)
    if request.design == "transfer":
        return study_transfer(request, dry_run=dry_run, as_json=as_json, strict=strict)
    if dry_run:
        return _draft(request, as_json)
    if request.vary:
        return _compare(request, as_json=as_json, strict=strict)
    if request.design in ("mixture", "repetition"):
        return study_data(request, as_json=as_json, strict=strict)
    return _train(request, as_json=as_json, strict=strict)


def _train(request: Request, *, as_json: bool, strict: bool) -> int:
    from scalescope import workflow
    from scalescope.cli.output import answer
    from scalescope.cli.progress import showing
    from scalescope.reports import text

    with showing() as watch:
        contents = workflow.run_study(request, watch)
    out = request.out
    return answer(
        _told(contents, out),
        contents.to_dict(),
        as_json=as_json,
        findings=text.findings(contents),
        strict=strict,
        next_step=f"open {out / 'report.html'} in a browser, or scalescope study --next --out {out}",
    )


def _compare(request: Request, *, as_json: bool, strict: bool) -> int:
    """Train the ladder for every variant and print what each is worth."""
    from scalescope import workflow
    from scalescope.cli.output import answer
    from scalescope.cli.progress import COMPARISON, showing
    from scalescope.reports import text

    with showing(phases=COMPARISON) as watch:
        contents = workflow.run_comparison(request, watch)
    page = request.out / "report.html"
    told = "\n".join(
        text.plain(line) for line in replace(contents.multipliers, findings=()).summary().splitlines()
    )
    return answer(
        f"{told}\nreport: {page}",
        contents.to_dict(),
        as_json=as_json,
        findings=(*contents.multipliers.findings, *contents.findings),
        strict=strict,
        next_step=f"open {page} in a browser",
    )


def _told(contents: Contents, out: Path) -> str:
    """Write the answer, the check against the held-out rung, and where the report is."""
    from scalescope.reports import text

    sentences = (text.answer(contents), text.answer_note(contents), text.check(contents))
    lines = [text.plain(sentence) for sentence in sentences if sentence]
    return "\n".join([*lines, f"report: {out / 'report.html'}"])


def _draft(request: Request, as_json: bool) -> int:
    """Print the design and its cost; nothing is written to the study's folder."""
    from scalescope import workflow
    from scalescope.cli.output import answer

    design, cost = workflow.draft(request)
    plain = {**design.to_dict(), "cost": cost}
    return answer(
        f"{design.summary()}\n{cost}", plain, as_json=as_json, next_step="the same without --dry-run"
    )


def _next(out: Path, target: tuple[str, ...], as_json: bool) -> int:
    """Print the cheap runs that would narrow the decision most, best first."""
    from scalescope import workflow
    from scalescope.cli.output import answer
    from scalescope.errors import InputError
    from scalescope.units import parse_flop

    if len(target) > 1:
        raise InputError("--next is for one target", hint="Give --target once.")
    ranked = workflow.suggest(out, target=parse_flop(target[0]) if target else None)
    lines = [f"{place}. {run.summary()}" for place, run in enumerate(ranked, start=1)]
    plain = {"schema": "scalescope.next-runs/1", "runs": [run.to_dict() for run in ranked]}
    return answer("\n".join(lines or ["No cheap run would narrow the decision."]), plain, as_json=as_json)
