"""The best mixture in words."""

from __future__ import annotations

import math

from scalescope.fitting.mixtures.result import MixtureForecast, Mixtures, Rival
from scalescope.points import Estimate
from scalescope.units import format_loss, format_percent


def told_shares(found: Mixtures, *, bold: str = "") -> str:
    """Write the best shares with their intervals: `prose 70% [61%, 78%]`."""
    return ", ".join(
        f"{law.name} {bold}{format_percent(law.share.value)}{bold}{_interval(law.share)}"
        for law in found.laws
    )


def _interval(share: Estimate) -> str:
    if math.isnan(share.low):
        return ""
    return f" [{format_percent(share.low)}, {format_percent(share.high)}]"


def answer(found: Mixtures, *, bold: str = "") -> str:
    """Say which mixture is best and whether that is told apart from others."""
    best = told_shares(found, bold=bold)
    beaten = [rival for rival in found.rivals if rival.told_apart]
    even = [rival for rival in found.rivals if not rival.told_apart]
    if not even:
        return f"The best mixture is {best}: {' and '.join(_gain(rival) for rival in beaten)}."
    told = f"By the laws the lowest loss is at {best}, but it is {bold}not told apart{bold} from "
    told += " or ".join(rival.name for rival in even)
    if beaten:
        told += f". It is {' and '.join(_gain(rival) for rival in beaten)}"
    return f"{told}."


def _gain(rival: Rival) -> str:
    gain = rival.gain
    return (
        f"{format_loss(gain.value)} [{format_loss(gain.low)}, {format_loss(gain.high)}] nats below "
        f"{rival.name}"
    )


def noise_text(found: Mixtures) -> str:
    """Say what runs of one mixture differ by."""
    if not found.noise_freedom:
        return "No mixture has two seeds, so the noise between runs is not known."
    return (
        f"Runs of one mixture differ by {format_loss(found.noise)} nats (standard deviation, "
        f"{found.noise_freedom} repeats); runs lie {format_loss(found.spread)} nats around the laws."
    )


def told_forecast(one: MixtureForecast) -> str:
    """Write what was forecast of a mixture and what was measured."""
    said = f"{one.name}: forecast {format_loss(one.loss.value)} "
    said += f"[{format_loss(one.loss.low)}, {format_loss(one.loss.high)}]"
    if one.measured_loss is None:
        return f"{said}, not measured"
    where = "inside" if one.inside else "outside"
    return f"{said}, measured {format_loss(one.measured_loss)}, {where}"


def summary(found: Mixtures) -> str:
    """Write the answer, a line for each rival, the noise and the hold-out."""
    lines = [answer(found)]
    lines += [
        f"  {rival.name}: {', '.join(format_percent(share) for share in rival.shares)}, loss "
        f"{format_loss(rival.loss.value)}; gain {format_loss(rival.gain.value)} "
        f"[{format_loss(rival.gain.low)}, {format_loss(rival.gain.high)}] nats"
        for rival in found.rivals
    ]
    lines.append(f"  {noise_text(found)}")
    lines += [f"  {told_forecast(one)}" for one in found.forecasts]
    return "\n".join([*lines, *(f"  {finding}" for finding in found.findings)])
