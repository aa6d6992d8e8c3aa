"""The verb `forecast`: the loss of a run that was not made, with a prediction interval."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.result import Fit
from scalescope.planning.reach import reach_findings, reach_of
from scalescope.planning.results import Forecast
from scalescope.planning.spread import own_holdouts, predict_loss, run_sd
from scalescope.planning.surface import Surface, check_level, check_positive, require_loss_of_run
from scalescope.points import Finding, Provenance, digest_of
from scalescope.units import format_percent


def forecast(
    fit: Fit,
    *,
    params: float,
    tokens: float | None = None,
    compute: float | None = None,
    level: float | None = None,
    past: Sequence[Holdout] = (),
    evaluation_sd: float = 0.0,
) -> Forecast:
    r"""Forecast the loss of one run that was not fitted.

    The interval is a prediction interval: the loss of one new run, measured as the fitted ones were, should
    lie inside it with probability `level`. It combines three errors in log loss: the spread of the fit's
    resamples, the noise of one run, and the error of the law's own form. The last is learned from `past`:
    each hold-out says how wrong this law was at some reach q, and the error is taken to grow with
    :math:`\ln q`, as that of a slightly wrong exponent does; published forecasts stand in for hold-outs that
    are few. For a given ratio of tokens to parameters
    a farther target never gets a narrower interval. `planning/spread.py` has the reasons and sources.

    Parameters
    ----------
    params
        N, counted as the fit counts.
    tokens
        Training tokens D. Give this or `compute`.
    compute
        Training FLOP, from which D = C / (6 N).
    level
        Of the interval; the fit's own if not given.
    past
        Hold-outs inside the fitted runs, such as `roll` returns; those of other laws are ignored. Without any
        the form's error is that of published forecasts, and a finding says so.
    evaluation_sd
        Standard error of the evaluation itself, in log loss, where the new run is measured on other text.

    Raises
    ------
    InputError
        If not exactly one of tokens and compute is given, a number is not positive, or the law of the fit is
        not one of the loss in size, tokens and compute alone.
    """
    chosen = check_level(level, fit.level)
    N, D, C = _place(params, tokens, compute)
    require_loss_of_run(fit.law)
    surface = Surface.of_fit(fit)
    loss = predict_loss(fit, surface, N, C, level=chosen, past=past, evaluation_sd=evaluation_sd)
    reach = reach_of(N, D, C, fit.ranges)
    farthest = max(reach.values(), default=1.0)
    return Forecast(
        law=fit.law,
        method=fit.method,
        params=N,
        tokens=D,
        compute=C,
        loss=loss,
        level=chosen,
        reach=reach,
        count=fit.count,
        findings=(*reach_findings(farthest, "The forecast"), *interval_findings(fit, farthest, past)),
        provenance=provenance_of(fit, {"params": N, "tokens": D, "level": chosen, "n_past": len(past)}),
    )


def interval_findings(fit: Fit, reach: float, past: Sequence[Holdout]) -> tuple[Finding, ...]:
    """What an interval made from this fit and these hold-outs leaves out."""
    findings = []
    if not len(fit.resamples):
        text = "The fit has no resamples, so the intervals leave out the uncertainty of its coefficients."
        findings.append(Finding(code="PLN009", text=text, hint="Fit again with resamples."))
    own = own_holdouts(fit, past)
    if reach > 1 and not own:
        text = (
            f"No hold-out of {fit.law} is known: how wrong its form can be is taken from published forecasts."
        )
        findings.append(Finding(code="PLN008", text=text, hint="Hold out the dearest runs and fit the rest."))
    seen = [one.log_error for one in own]
    # A lean is worth saying when every hold-out shares it and no single run's noise explains it.
    if len(seen) > 1 and (min(seen) > 0 or max(seen) < 0) and min(map(abs, seen)) > run_sd(fit):
        lean = float(np.mean(seen))
        text = (
            f"Every hold-out of {fit.law} was {'pessimistic' if lean > 0 else 'optimistic'}, "
            f"by {format_percent(abs(np.expm1(lean)))} in the mean; the forecast is not corrected for it."
        )
        findings.append(Finding(code="PLN011", text=text, hint="Compare with the forecast of another law."))
    return tuple(findings)


def provenance_of(fit: Fit, options: dict[str, str | int | float | bool | None]) -> Provenance:
    """Tie a result to the fit it was made from."""
    coefficients = json.dumps([fit.law, *(one.value for one in fit.coefficients.values())])
    digest = fit.provenance.digest or digest_of(coefficients.encode(), fit.resamples.tobytes())
    return Provenance(source=f"fit of {fit.law}", digest=digest, options=options, seed=fit.provenance.seed)


def _place(params: float, tokens: float | None, compute: float | None) -> tuple[float, float, float]:
    N = check_positive(params, "params")
    if tokens is not None and compute is None:
        D = check_positive(tokens, "tokens")
        return N, D, 6 * N * D
    if compute is not None and tokens is None:
        C = check_positive(compute, "compute")
        return N, C / (6 * N), C
    raise InputError(
        f"give either tokens or compute with params, got {'both' if tokens is not None else 'neither'}",
        hint="One follows from the other: C = 6 N D.",
    )
