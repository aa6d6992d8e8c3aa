"""`scalescope plan`."""

from __future__ import annotations

from dataclasses import replace

import scalescope
from scalescope.cli.inputs import again, past_errors, read_fit, spent
from scalescope.cli.options import AsJson, FitOptions, Flops, Strict
from scalescope.cli.output import answer
from scalescope.units import format_count

_TENFOLDS = (10, 100, 1000)


def plan(
    source: str,
    /,
    *,
    budget: Flops | None = None,
    options: FitOptions | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Choose size and tokens for compute budgets.

    Parameters
    ----------
    source
        A fit written by `scalescope fit --output`, or a table of runs to fit first.
    budget
        Training FLOP, such as 1e21; may be repeated. By default 10, 100 and 1000 times what all runs of the
        table cost together (of a fit alone: what its largest run cost).
    as_json
        Print the whole plan as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    options = options or FitOptions()
    fitted = read_fit(source, options)
    budgets = budget or [factor * spent(fitted) for factor in _TENFOLDS]
    result = scalescope.plan(fitted.fit, budgets, past=past_errors(fitted))
    first = result.allocations[0]
    size, data = format_count(first.params.value), format_count(first.tokens.value)
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=(*fitted.findings, *result.findings),
        strict=strict,
        next_step=f"scalescope forecast {again(source, options)} --params {size} --tokens {data}",
    )
