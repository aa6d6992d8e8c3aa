"""What pre-training is worth, in words."""

from __future__ import annotations

import math

from scalescope.fitting.pretraining.result import Gain, Pretraining, TunedForecast
from scalescope.points import Estimate
from scalescope.units import format_count, format_factor, format_loss, format_percent, format_significant


def characters(value: float) -> str:
    """Write an amount of text."""
    if math.isnan(value):
        return "–"
    return format_count(value) if math.isfinite(value) else "∞"


def signed(value: float) -> str:
    """Write a difference of losses with its sign."""
    if math.isnan(value):
        return "–"
    return f"{'+' if value > 0 else '−'}{format_significant(abs(value), 2)}"


def span(estimate: Estimate, *, negative: bool = False) -> str:
    """Write the interval of a difference, or of its negative."""
    if math.isnan(estimate.low):
        return "interval unknown"
    low, high = (-estimate.high, -estimate.low) if negative else (estimate.low, estimate.high)
    return f"[{signed(low)}, {signed(high)}]"


def answer(found: Pretraining, source: str, target: str, *, bold: str = "") -> str:
    """Say what pre-training on `source` is worth on `target` at the largest shape and the most text."""
    one = found.headline
    place = (
        f"at {format_count(one.size)} parameters (blocks) that read {characters(one.characters)} characters "
        "of it"
    )
    pretraining = f"Pre-training on {source}"
    match one.verdict:
        case "worth":
            worth = one.worth
            more = format_factor(max(worth.value, 0.0) / one.characters)
            return (
                f"{pretraining} is worth as much as {bold}{characters(worth.value)} characters{bold} "
                f"[{characters(max(worth.low, 0.0))}, {characters(worth.high)}] of {target} {place}: {more} "
                "what was read."
            )
        case "more":
            return (
                f"{pretraining} is worth {bold}more than {characters(one.reached)} characters{bold} of "
                f"{target} {place}: no run from scratch got as far."
            )
        case "hurts":
            return (
                f"{pretraining} {bold}hurts{bold} on {target} {place}: the loss is "
                f"{format_loss(-one.difference.value)} {span(one.difference, negative=True)} nats per token "
                "higher than from scratch."
            )
    return (
        f"What pre-training on {source} is worth on {target} {bold}cannot be told{bold} {place}: its gain of "
        f"{signed(one.difference.value)} {span(one.difference)} nats per token is within the noise."
    )


def law_text(found: Pretraining) -> str:
    """Say how the worth goes with text and size; empty without a law."""
    if found.fit is None:
        return ""
    alpha, beta = found.fit.coefficients["alpha"], found.fit.coefficients["beta"]
    return (
        f"The worth grows as D_F^{_power(alpha)} N^{_power(beta)} (Hernandez et al. 2021 found 0.18 and 0.38 "
        "from text to Python, at sizes far above these)."
    )


def _power(estimate: Estimate) -> str:
    return estimate.text(lambda value: format_significant(value, 2))


def noise_text(found: Pretraining) -> str:
    """Say what equal runs differ by."""
    if not found.noise_freedom:
        return "The noise between runs is not known."
    return f"Runs of other seeds differ by {format_percent(found.noise)} of the loss."


def told_gain(one: Gain) -> str:
    """Write the worth of one setting."""
    if one.verdict == "more":
        return f"> {characters(one.reached)}"
    if one.verdict == "hurts":
        return "less than nothing"
    low, high = max(one.worth.low, 0.0), one.worth.high
    return f"{characters(max(one.worth.value, 0.0))} [{characters(low)}, {characters(high)}]"


def told_forecast(one: TunedForecast, *, bold: str = "") -> str:
    """Write what was forecast of the dearest fine-tuned run, and what was measured."""
    said = (
        f"The dearest fine-tuned run ({format_count(one.size)} parameters, {characters(one.characters)} "
        f"characters) was held out: forecast {bold}{format_loss(one.loss.value)}{bold} "
        f"[{format_loss(one.loss.low)}, {format_loss(one.loss.high)}]"
    )
    if one.beyond:
        said += ", beyond the runs from scratch"
    if one.measured is None:
        return f"{said}; not measured yet."
    where = "inside" if one.agrees else "outside"
    return f"{said}, measured {bold}{format_loss(one.measured)}{bold} nats per token: {bold}{where}{bold}."
