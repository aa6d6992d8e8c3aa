"""What a reader should doubt about a fit, as findings."""

from __future__ import annotations

import numpy as np

from scalescope.fitting.clusters import FEWEST, cluster_labels
from scalescope.fitting.inputs import variables_of
from scalescope.fitting.result import Certificate
from scalescope.laws import Law
from scalescope.points import Array, Estimate, Finding, Runs
from scalescope.units import format_percent, format_significant

NAMES = {"params": "Sizes N", "tokens": "Token counts D", "compute": "Computes C"}
FLOORS = ("E",)


def doubts_about_runs(law: Law, runs: Runs, n_given: int) -> list[Finding]:
    """Return what the design of the runs leaves open; `runs` are the ones used, of `n_given` offered."""
    findings = []
    for name, column in variables_of(law, runs).items():
        if law.variables[name].column not in NAMES:
            continue
        decades = float(np.log10(column.max()) - np.log10(column.min()))
        if decades < 1 - 1e-9:
            text = f"{NAMES[law.variables[name].column]} span {format_significant(decades, 2)} decades."
            hint = "Exponents are poorly determined below one decade."
            findings.append(Finding(code="FIT001", text=text, hint=hint))
    if law.family == "one-factor":
        text = f"{law.name} uses the {len(runs)} of {n_given} runs on the lower envelope"
        if "tokens" in runs and runs.count in runs:
            ratio = float(np.median(runs.tokens / runs.size))
            text += f", at a median of {format_significant(ratio, 2)} tokens per parameter"
        text += "."
        hint = "It describes the frontier of these runs, not the limit in which nothing else binds."
        findings.append(Finding(code="FIT006", text=text, hint=hint))
    n_clusters = int(cluster_labels(runs).max()) + 1
    if n_clusters < min(FEWEST, len(runs)):
        text = f"Only {n_clusters} independent training runs stand behind the {len(runs)} points."
        hint = (
            "Noise that points of one run share is told from so few; intervals may be too narrow. Add seeds."
        )
        findings.append(Finding(code="FIT010", text=text, hint=hint))
    return findings


def doubts_about_optimum(certificate: Certificate, relative_gradient: float) -> list[Finding]:
    """Return doubts whether the optimum is one."""
    findings = []
    if certificate.at_bound:
        text = f"At a limit of its range: {', '.join(certificate.at_bound)}."
        hint = "The runs would rather have it beyond; do not read the value or its interval as measured."
        findings.append(Finding(code="FIT002", text=text, hint=hint))
    if certificate.share_at_optimum < 0.1:
        share = format_percent(certificate.share_at_optimum)
        text = f"{share} of {certificate.n_starts} starts reached the optimum."
        hint = "A better optimum may exist; the law has more freedom than these runs can settle."
        findings.append(Finding(code="FIT004", text=text, hint=hint))
    if relative_gradient > 1e-3:
        text = f"The gradient is {format_percent(relative_gradient)} of the runs' pulls, not zero."
        hint = "The optimiser stopped in a flat valley; treat the coefficients as one of many good sets."
        findings.append(Finding(code="FIT009", text=text, hint=hint))
    return findings


def doubts_about_coefficients(
    coefficients: dict[str, Estimate], target: Array, r_squared: float
) -> list[Finding]:
    """Return doubts about the floor and the quality of the fit."""
    findings = []
    lowest = float(target.min())
    for name in FLOORS:
        floor = coefficients.get(name)
        if floor is not None and floor.high - floor.low > lowest / 2:
            text = (
                f"The irreducible loss {name} is not identified: "
                f"{floor.text(lambda value: format_significant(value, 2))}, with a lowest loss of "
                f"{format_significant(lowest)}."
            )
            hint = "Forecasts far beyond the runs lean on the form of the law; dearer runs would settle it."
            findings.append(Finding(code="FIT003", text=text, hint=hint))
    if r_squared < 0.9:
        text = f"The law explains {format_percent(max(r_squared, 0.0))} of the variance of the log loss."
        hint = "Look at the residuals: a wrong form, or runs with unequal settings."
        findings.append(Finding(code="FIT005", text=text, hint=hint))
    return findings


def doubts_about_resamples(resamples: Array, asked: int, level: float) -> list[Finding]:
    """Return whether resamples had to be left out, or are too few to have the ends of an interval."""
    tail = (1 - level) / 2
    if asked and asked * tail < 1 - 1e-9:
        text = (
            f"{asked} {'resample has' if asked == 1 else 'resamples have'} nothing beyond the ends of "
            f"{format_percent(level)} intervals."
        )
        hint = f"Intervals are too narrow; take at least {round(10 / tail):,} resamples, or a lower level."
        return [Finding(code="FIT019", text=text, hint=hint)]
    if asked and len(resamples) < 0.95 * asked:
        text = f"{asked - len(resamples)} of {asked} resamples could not be fitted."
        hint = "Intervals come from the others and are too narrow; the design is at its limit."
        return [Finding(code="FIT011", text=text, hint=hint)]
    return []
