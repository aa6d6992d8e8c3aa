"""The worth of repeated tokens in words."""

from __future__ import annotations

import math

from scalescope.fitting.repetition.result import Repetition, RepetitionForecast
from scalescope.points import Estimate
from scalescope.units import format_count, format_loss, format_percent, format_significant


def epochs(value: float) -> str:
    """Write a number of epochs."""
    return format_significant(value, 2)


def shown(estimate: Estimate, *, bold: str = "") -> str:
    """Write epochs with their interval."""
    if math.isnan(estimate.low):
        return f"{bold}{epochs(estimate.value)} epochs{bold}"
    return f"{bold}{epochs(estimate.value)} epochs{bold} [{epochs(estimate.low)}, {epochs(estimate.high)}]"


def answer(found: Repetition, *, bold: str = "") -> str:
    """Say for how many epochs a token read again is nearly as good as fresh, and when it is worth half."""
    if found.verdict == "not reached":
        return (
            f"Up to the {epochs(found.most_epochs)} epochs that were read a token read again stays worth "
            f"{bold}more than half{bold} of a fresh one; when it falls to half is not reached by these runs."
        )
    if found.verdict == "open":
        values = [form.half.value for form in found.forms] + [found.half.low, found.half.high]
        finite = [value for value in values if math.isfinite(value)]
        return (
            f"How fast a token loses its worth when it is read again {bold}cannot be told{bold} from these "
            f"runs: it is worth half of a fresh one after {epochs(min(finite))} to {epochs(max(finite))} "
            "epochs."
        )
    return (
        f"A token read again is worth as much as a fresh one, to a tenth, for about "
        f"{shown(found.nearly, bold=bold)}; after {shown(found.half, bold=bold)} it is worth half."
    )


def noise_text(found: Repetition) -> str:
    """Say what equal runs differ by."""
    left = f"the law leaves {format_percent(found.fit.residual_sd)}"
    if not found.noise_freedom:
        return f"The noise between runs is not known; {left}."
    return f"Runs of other seeds differ by {format_percent(found.noise)} of the loss; {left}."


def told_forecast(one: RepetitionForecast) -> str:
    """Write what was forecast of the most repeated run, and what was measured."""
    said = (
        f"{format_count(one.size)} parameters, {epochs(one.epochs)} epochs of {format_count(one.unique)} "
        f"tokens: forecast {format_loss(one.loss.value)} "
        f"[{format_loss(one.loss.low)}, {format_loss(one.loss.high)}]"
    )
    if one.measured is None:
        return f"{said}, not measured"
    where = "inside" if one.inside else "outside"
    return (
        f"{said}, measured {format_loss(one.measured)}, {where}; if every token were fresh "
        f"{format_loss(one.as_fresh.value)}"
    )


def summary(found: Repetition) -> str:
    """Write the answer, a line for each form, the noise and the hold-out."""
    lines = [answer(found)]
    lines += [
        f"  {form.name}: half the worth after {shown(form.half)}, R_D "
        f"{format_significant(form.constant.value, 3)}"
        for form in found.forms
    ]
    lines.append(f"  {noise_text(found)}")
    lines += [f"  {told_forecast(found.forecast)}"] if found.forecast is not None else []
    return "\n".join([*lines, *(f"  {finding}" for finding in found.findings)])
