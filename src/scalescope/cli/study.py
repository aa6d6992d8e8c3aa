"""`scalescope study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from scalescope.cli.options import AsJson


def study(
    corpus: str | None = None,
    /,
    *,
    out: Path = Path("study"),
    budget: str = "10m",
    design: Literal["isoflop", "ladder"] = "isoflop",
    tokenizer: Path | None = None,
    text_column: str = "text",
    executor: Literal["local", "ray"] = "local",
    address: str | None = None,
    seed: int = 0,
    target: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = (),
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    extend: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    next_: Annotated[bool, Parameter(name="--next", negative="", show_default=False)] = False,
    as_json: AsJson = False,
) -> int:
    """Train a ladder of small models on a corpus, then fit, forecast, plan and report.

    The same command goes on where an earlier one stopped. Ctrl-C keeps all finished runs.

    Parameters
    ----------
    corpus
        A file or folder of text, a JSONL or Parquet file, or the name of a data set; by default the source
        text of this Python's standard library.
    out
        Folder of the study: ledger, runs, fit, plan and report.
    budget
        Wall time such as 10m, or training FLOP such as 3e15.
    design
        Sizes at equal compute (isoflop), or ever larger models at a fixed ratio of tokens (ladder).
    tokenizer
        A `tokenizers` JSON file; by default tokens are bytes.
    text_column
        Column that holds the text in JSONL and Parquet.
    executor
        Where the runs are made: this machine, or a Ray cluster.
    address
        Address of the Ray cluster.
    seed
        Seed of initialisation, data order and resamples.
    target
        Compute that the plan is for, such as 1e21; may be repeated. By default 10, 100 and 1000 times what
        was spent.
    dry_run
        Print the design and what it will cost, and stop.
    extend
        Allow a finished study to grow by another budget.
    next_
        Name the cheap run that would narrow the decision most, and stop.
    as_json
        Print all that the report shows as JSON.
    """
    from scalescope import workflow

    return workflow.study(
        corpus,
        out=out,
        budget=budget,
        design=design,
        tokenizer=tokenizer,
        text_column=text_column,
        executor=executor,
        address=address,
        seed=seed,
        targets=list(target) or None,
        dry_run=dry_run,
        extend=extend,
        next_=next_,
        json=as_json,
    )
