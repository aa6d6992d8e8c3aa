"""`scalescope fit`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import scalescope
from scalescope.cli.criterion import CriterionOptions
from scalescope.cli.inputs import again, read_table
from scalescope.cli.options import AsJson, FitOptions, Strict
from scalescope.cli.output import answer

if TYPE_CHECKING:
    from scalescope.fitting import Fit


def fit(
    runs: str,
    /,
    *,
    options: FitOptions | None = None,
    criterion: CriterionOptions | None = None,
    output: Path | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Fit a scaling law to a table of training runs.

    The table needs the columns of the law: for most the loss and two of size, tokens and compute, from which
    the third follows. Numbers may be written 70B or 3e21.

    Parameters
    ----------
    runs
        CSV, TSV, JSON, JSONL or Parquet file, the folder of a study, or `-` for standard input.
    output
        File that the whole fit is written to, as JSON, for `forecast` and `plan`.
    as_json
        Print the whole fit as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    from scalescope.points import write_json

    options = options or FitOptions()
    table = read_table(runs, options)
    law = options.law or "chinchilla"
    minimised = criterion or CriterionOptions()
    result = scalescope.fit(
        table,
        law,
        criterion=minimised.criterion(),
        restraints=minimised.restraints(),
        bootstrap=minimised.bootstrap,
        resamples=options.resamples,
        level=options.level,
        seed=options.seed,
    )
    if output is not None:
        write_json(output, result.to_dict())
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=(*table.findings, *result.findings),
        strict=strict,
        next_step=_next(result, again(runs, options) if output is None else shlex.quote(str(output))),
    )


def _next(result: Fit, source: str) -> str:
    """A plan where the law has a best size, else what else fits the table."""
    from scalescope.laws import get_law

    return f"scalescope plan {source}" if get_law(result.law).is_surface else f"scalescope laws {result.law}"
