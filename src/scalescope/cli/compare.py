"""`scalescope compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import scalescope
from scalescope.cli.inputs import again, read_table
from scalescope.cli.options import AsJson, FitOptions, Flop, Strict
from scalescope.cli.output import answer
from scalescope.errors import InputError


def compare(
    runs: str,
    /,
    *,
    laws: Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)] = (),
    target: str = "loss",
    cut: Flop | None = None,
    cuts: int = 4,
    options: FitOptions | None = None,
    output: Path | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Fit every suitable law to the smaller runs, predict the larger, rank and stack them.

    The runs are cut at several computes; below each cut every law is fitted, above it every run is predicted.
    Laws that noise cannot tell apart share a rank.

    Parameters
    ----------
    runs
        CSV, TSV, JSON, JSONL or Parquet file, the folder of a study, or `-` for standard input.
    laws
        Laws to compare, separated by commas; every law that the table allows by default.
    target
        Column that the laws predict.
    cut
        Compute that divides fitted from predicted runs at the last cut, such as 1e21.
    cuts
        Positions of the cut.
    output
        File that the whole comparison is written to, as JSON.
    as_json
        Print the whole comparison as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    from scalescope.points import write_json

    options = options or FitOptions()
    table = read_table(runs, options)
    result = scalescope.compare(
        table,
        _names(laws, options),
        target=target,
        cut=cut,
        n_cuts=cuts,
        level=options.level,
        seed=options.seed,
    )
    if output is not None:
        write_json(output, result.to_dict())
    best = replace(options, law=result.best)
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=(*table.findings, *result.findings),
        strict=strict,
        next_step=f"scalescope fit {again(runs, best)}",
    )


def _names(pieces: Sequence[str], options: FitOptions) -> tuple[str, ...] | None:
    """Names of the laws; None for all."""
    names = tuple(name.strip() for piece in pieces for name in piece.split(",") if name.strip())
    if options.law is not None:
        raise InputError("compare takes --laws, not --law", hint=f"Write --laws {options.law},chinchilla.")
    return names or None
