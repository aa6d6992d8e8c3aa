"""The sentences of a report: the answer, the check against measurement, and how numbers stand in them.

A sentence marks what matters with `**`; the page sets it in bold and `plain` removes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from scalescope.laws import LAWS
from scalescope.planning.results import Allocation, Forecast
from scalescope.points import Estimate, Finding
from scalescope.reports.contents import Contents
from scalescope.units import (
    format_count,
    format_factor,
    format_flop,
    format_loss,
    format_percent,
    format_significant,
)

Show = Callable[[float], str]

BARELY = 1.005
"""A reach up to this is inside the data: it would be written as 1.0x."""

LAW_NAMES: dict[str, str] = {
    "isoflop": "IsoFLOP parabolas",
    "chinchilla": "Chinchilla form",
    "kaplan": "Kaplan form",
    "loss-size": "L(N)",
    "loss-data": "L(D)",
    "loss-compute": "L(C)",
}

COUNT_NAMES: dict[str, str] = {
    "params": "all parameters",
    "params_nonembedding": "blocks only, without embedding and head",
    "params_matmul": "blocks and head, without the input lookup",
    "params_active": "parameters that one token meets",
}


def law_name(law: str) -> str:
    """Name a law as readers know it."""
    return LAW_NAMES.get(law) or (LAWS[law].title if law in LAWS else law)


def two_digits(value: float) -> str:
    """Write a ratio or an exponent with two significant digits."""
    return format_significant(value, 2)


def three_digits(value: float) -> str:
    """Write a coefficient with three significant digits."""
    return format_significant(value, 3)


def number(value: float, show: Show) -> str:
    """Write one number; what is not there is a dash, what has no limit says so."""
    if math.isnan(value):
        return "–"
    return show(value) if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def shown(estimate: Estimate, show: Show) -> str:
    """Write `value [low, high]`, or the value alone where it is exact or has no interval."""
    value = number(estimate.value, show)
    if estimate.low == estimate.high or math.isnan(estimate.low) or math.isnan(estimate.high):
        return value
    return f"{value} [{number(estimate.low, show)}, {number(estimate.high, show)}]"


def spread(estimate: Estimate, show: Show) -> str:
    """Write the interval alone: `1.17 to 1.26`."""
    return f"{number(estimate.low, show)} to {number(estimate.high, show)}"


def reach_text(reach: float) -> str:
    """Say how far beyond the fitted runs a compute lies."""
    if reach <= BARELY:
        return "inside the fitted range"
    return f"{format_factor(reach)} the dearest run fitted"


def reaches_text(reach: dict[str, float]) -> str:
    """Say how far each variable lies beyond the data, the ones inside left out."""
    parts = [f"{name} {format_factor(value)}" for name, value in reach.items() if value > BARELY]
    return ", ".join(parts) if parts else "inside the fitted range"


def plain(sentence: str) -> str:
    """Return a sentence without its emphasis."""
    return sentence.replace("**", "")


def answer(contents: Contents) -> str:
    """Return the answer in one sentence with its interval; without a plan, what the runs themselves say."""
    if contents.plan is None or not contents.plan.allocations:
        return _answer_without_plan(contents)
    best: Allocation = contents.plan.allocations[0]
    return (
        f"For {format_factor(best.compute / contents.runs.spent)} the compute spent "
        f"({format_flop(best.compute)}), train "
        f"**{format_count(best.params.value)} parameters** on **{format_count(best.tokens.value)} tokens**: "
        f"expected loss **{format_loss(best.loss.value)}** [{format_loss(best.loss.low)}, "
        f"{format_loss(best.loss.high)}] nats/token."
    )


def _answer_without_plan(contents: Contents) -> str:
    runs = contents.runs
    best = int(np.argmin(runs.loss))
    return (
        f"{len(runs)} runs of {format_count(float(runs.size.min()))} to "
        f"{format_count(float(runs.size.max()))} parameters; the best one, "
        f"**{format_count(float(runs.size[best]))} parameters** on "
        f"**{format_count(float(runs.tokens[best]))} tokens**, reached a loss of "
        f"**{format_loss(float(runs.loss[best]))}** nats/token."
    )


def answer_note(contents: Contents) -> str:
    """Say how sure the size and the tokens of the answer are, and which law they come from."""
    plan = contents.plan
    if plan is None or not plan.allocations:
        return "No plan was made: there is no law here to make it with."
    best = plan.allocations[0]
    return (
        f"{format_percent(plan.level)} intervals: {spread(best.params, format_count)} parameters "
        f"({COUNT_NAMES.get(plan.count, plan.count)}), {spread(best.tokens, format_count)} tokens, "
        f"{number(best.tokens_per_param.value, two_digits)} tokens per parameter. "
        f"The compute is {reach_text(best.reach)}. Law: {law_name(plan.law)}."
    )


def inside(forecast: Forecast) -> bool | None:
    """Tell whether the measured loss lies in the forecast's interval; None while it is not measured."""
    if forecast.measured is None:
        return None
    return forecast.loss.low <= forecast.measured <= forecast.loss.high


def verdict(forecast: Forecast) -> str:
    """Say where the measurement fell: inside the interval, or above or below it."""
    within = inside(forecast)
    if within is None or forecast.measured is None:
        return "not measured yet"
    if within:
        return "inside"
    return "outside, above" if forecast.measured > forecast.loss.high else "outside, below"


def headlined(contents: Contents) -> Forecast | None:
    """Return the held-out rung's forecast under the headlined law, or the first there is."""
    ranked = sorted(contents.forecasts, key=lambda forecast: forecast.law != contents.headline)
    return ranked[0] if ranked else None


def check(contents: Contents) -> str:
    """Return forecast against measurement of the held-out rung in one line; empty without a forecast."""
    forecast = headlined(contents)
    if forecast is None:
        return ""
    far = reaches_text(dict(forecast.reach))
    where = far if far.startswith("inside") else f"beyond the fitted range: {far}"
    told = (
        f"The held-out run of {format_count(forecast.params)} parameters on {format_count(forecast.tokens)} "
        f"tokens ({where}) was forecast at "
        f"**{format_loss(forecast.loss.value)}** [{format_loss(forecast.loss.low)}, "
        f"{format_loss(forecast.loss.high)}]" + (" before it was trained" if contents.written_before else "")
    )
    if forecast.measured is None:
        return told + " and has not been trained yet."
    off = forecast.measured / forecast.loss.value - 1
    side = "above" if off > 0 else "below"
    return (
        f"{told} and measured **{format_loss(forecast.measured)}**, {format_percent(abs(off))} {side}: "
        f"**{verdict(forecast)}** the {format_percent(forecast.level)} interval."
    )


def findings(contents: Contents) -> list[Finding]:
    """Gather the findings of all that the answer rests on, each once."""
    headline = contents.fits.get(contents.headline)
    groups: list[Iterable[Finding]] = [contents.findings]
    groups += [contents.plan.findings] if contents.plan else []
    groups += [headline.findings] if headline else []
    forecast = headlined(contents)
    groups += [forecast.findings] if forecast else []
    about = (contents.approaches, contents.comparison)
    groups += [one.findings for one in about if one is not None]
    groups += [contents.runs.findings]
    return list(dict.fromkeys(finding for group in groups for finding in group))


def other_findings(contents: Contents) -> list[tuple[str, Finding]]:
    """Gather what is doubtful about the laws that are not headlined, with the law's name."""
    said = set(findings(contents))
    return [
        (law_name(name), finding)
        for name, fit in contents.fits.items()
        if name != contents.headline
        for finding in fit.findings
        if finding not in said
    ]
