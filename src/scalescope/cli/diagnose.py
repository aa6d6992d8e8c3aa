"""`scalescope diagnose`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import scalescope
from scalescope.cli.options import Amount, AsJson, Strict
from scalescope.cli.output import answer
from scalescope.errors import InputError
from scalescope.units import format_count

if TYPE_CHECKING:
    from scalescope.fitting import Fit

SCHEMA = "scalescope.diagnoses/1"


def diagnose(
    *,
    model: str | None = None,
    params: Amount | None = None,
    tokens: Amount | None = None,
    law: str = "epoch2024",
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Tell whether a model is under- or over-trained for its compute.

    Without `model` and `params`, all built-in models are judged.

    Parameters
    ----------
    model
        A built-in model, such as gpt-3, chinchilla or llama-3-70b.
    params
        Size of any other model, such as 70B; give `tokens` with it.
    tokens
        Training tokens, such as 1.4T.
    law
        Published coefficients to judge by, such as epoch2024 or hoffmann2022; or a fit of your own, as the
        file that `scalescope fit --output` wrote.
    as_json
        Print the whole diagnosis as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    if model is not None and (params is not None or tokens is not None):
        raise InputError("--model and --params with --tokens exclude each other", hint="Give one of them.")
    if (params is None) != (tokens is None):
        raise InputError(
            "a model needs both --params and --tokens", hint="Such as --params 70B --tokens 1.4T."
        )
    if model is None and params is None:
        return _survey(law, as_json=as_json)
    result = scalescope.diagnose(model or params or 0.0, tokens, law=_judge(law))
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=result.findings,
        strict=strict,
        next_step="scalescope plan runs.csv, to plan by runs of your own",
    )


def _judge(law: str) -> str | Fit:
    """Take a file as a fit, and all else as the name of published coefficients."""
    if not law.endswith(".json"):
        return law
    from scalescope.fitting import Fit
    from scalescope.points import read_json

    return Fit.from_dict(read_json(Path(law)))


def _survey(law: str, *, as_json: bool) -> int:
    """Judge every built-in model, one line each."""
    from scalescope.planning import MODELS

    results = [scalescope.diagnose(name, law=_judge(law)) for name in MODELS]
    width = max(len(result.model) for result in results)
    lines = [
        f"by {results[0].law}",
        f"{'model':<{width}}  {'N':>6} {'D':>6} {'D/N':>6}  {'best N':>6}  verdict",
    ]
    for result in results:
        numbers = (result.params, result.tokens, result.tokens_per_param)
        shown = " ".join(f"{format_count(number):>6}" for number in numbers)
        best = format_count(result.optimal_params)
        lines.append(f"{result.model:<{width}}  {shown}  {best:>6}  {result.verdict}")
    return answer(
        "\n".join(lines),
        {"schema": SCHEMA, "diagnoses": [result.to_dict() for result in results]},
        as_json=as_json,
        next_step=f"scalescope diagnose --model {results[0].model}",
    )
