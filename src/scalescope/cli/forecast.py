"""`scalescope forecast`."""

from __future__ import annotations

from dataclasses import replace

import scalescope
from scalescope.cli.inputs import again, past_errors, read_fit
from scalescope.cli.options import Amount, AsJson, FitOptions, Flop, Strict
from scalescope.cli.output import answer
from scalescope.units import format_significant


def forecast(
    source: str,
    /,
    *,
    params: Amount,
    tokens: Amount | None = None,
    compute: Flop | None = None,
    options: FitOptions | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Forecast the loss of a run that was not made.

    Parameters
    ----------
    source
        A fit written by `scalescope fit --output`, or a table of runs to fit first.
    params
        Size of the run, counted as the fit counts, such as 70B.
    tokens
        Training tokens, such as 1.4T; or give `compute`.
    compute
        Training FLOP, such as 5.76e23; tokens are then compute / (6 params).
    as_json
        Print the whole forecast as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    options = options or FitOptions()
    fitted = read_fit(source, options)
    result = scalescope.forecast(
        fitted.fit, params=params, tokens=tokens, compute=compute, past=past_errors(fitted)
    )
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=(*fitted.findings, *result.findings),
        strict=strict,
        next_step=f"scalescope plan {again(source, options)} --budget {format_significant(result.compute)}",
    )
