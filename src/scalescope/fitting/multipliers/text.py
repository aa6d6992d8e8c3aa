"""A multiplier in words: the first sentence of every report of levers."""

from __future__ import annotations

import math

from scalescope.fitting.multipliers.result import Lever, MultiplierPoint, Multipliers
from scalescope.points import Estimate
from scalescope.units import format_flop, format_percent, format_significant

VERDICTS = {
    "grows": "the gain grows with compute",
    "holds": "the gain holds as compute grows",
    "fades": "the gain fades with compute",
    "unclear": "whether the gain grows, holds or fades cannot be told from these runs",
}
"""Verdict to its words, for a gain."""
LOSSES = {
    "grows": "the loss of compute grows with compute",
    "holds": "it stays so as compute grows",
    "fades": "the loss of compute shrinks with compute",
    "unclear": "whether that grows, holds or shrinks with compute cannot be told from these runs",
}
"""The same for a variant that needs more."""


def times(value: float) -> str:
    """Write a multiplier: `1.43x`."""
    return f"{format_significant(value, 3)}x"


def span(estimate: Estimate, *, mark: str = "x") -> str:
    """Write an interval: `1.31-1.57`, after `mark` where one is given."""
    if not (math.isfinite(estimate.low) or math.isfinite(estimate.high)):
        return "interval unknown"
    return f"{mark}{format_significant(estimate.low, 3)}-{format_significant(estimate.high, 3)}"


def inverse(estimate: Estimate) -> Estimate:
    """One over it."""
    return Estimate(value=1 / estimate.value, low=1 / estimate.high, high=1 / estimate.low)


def outcome(point: MultiplierPoint, name: str, baseline: str, quantity: str, *, bold: str = "") -> str:
    """Say who needs how many times the compute at one scale, without a full stop.

    Parameters
    ----------
    point
        Of the variant.
    name, baseline
        Of the two.
    quantity
        What is reached: `loss`.
    bold
        Put around the number, such as `**`.
    """
    one = point.multiplier
    where = f"{quantity} at {format_flop(point.compute)}"
    if one.value >= 1:
        told = f"{bold}{times(one.value)}{bold} ({span(one, mark='')})"
        return f"{baseline} needs {told} the compute of {name} to reach the same {where}"
    back = inverse(one)
    told = f"{bold}{times(back.value)}{bold} ({span(back, mark='')})"
    return f"{name} needs {told} the compute of {baseline} to reach the same {where}"


def verdict_text(lever: Lever) -> str:
    """The verdict in words, with the growth a decade."""
    if lever.verdict == "none":
        return "no difference can be told"
    words = VERDICTS if lever.headline.multiplier.value >= 1 else LOSSES
    return f"{words[lever.verdict]} ({span(lever.growth)} a decade)"


def lever_sentence(made: Multipliers, lever: Lever, *, bold: str = "") -> str:
    """One variant in a sentence."""
    quantity = "loss" if made.metric == "loss" else "bits per byte"
    told = outcome(lever.headline, lever.name, made.baseline, quantity, bold=bold)
    if lever.verdict == "none":
        return f"No difference between {lever.name} and {made.baseline} can be told: {told}."
    return f"{told}; {verdict_text(lever)}."


def answer(made: Multipliers, *, bold: str = "") -> str:
    """The best variant in a sentence; where none gains, that."""
    best = made.levers[0]
    sentence = lever_sentence(made, best, bold=bold)
    if len(made.levers) > 1 and best.headline.multiplier.value < 1:
        return f"No variant beats {made.baseline}. {sentence}"
    return sentence


def noise_text(made: Multipliers) -> str:
    """What seeds can hide."""
    noise = made.noise
    if not noise.known:
        return (
            "The noise floor is unknown: no setting has two seeds. "
            f"The fit leaves {format_percent(noise.relative)} of the loss over."
        )
    return (
        f"Seeds differ by {format_percent(noise.relative)} of the loss (pooled, {noise.freedom} degrees of "
        f"freedom): in one pair of cells, differences below {times(noise.floor)} cannot be seen here."
    )


def sharing_text(lever: Lever) -> str:
    """Whether exponents are shared, and what the test says."""
    test = lever.sharing
    if test is None:
        return "exponents not tested"
    p = format_significant(test.p_value, 2)
    return f"exponents {'may be shared' if test.shared else 'are not shared'} (p {p})"


def summary(made: Multipliers) -> str:
    """Text for a terminal; the first line is the answer."""
    lines = [answer(made)]
    for lever in made.levers:
        lines += ["", f"{lever.name} against {made.baseline}: {verdict_text(lever)}; {sharing_text(lever)}"]
        for point in lever.points:
            one = f"{times(point.multiplier.value)} ({span(point.multiplier, mark='')})"
            beyond = f"  {point.reach:.0f}x beyond the data" if point.reach > 1 else ""
            pair = "" if math.isnan(point.matched.value) else f"  pairs {times(point.matched.value)}"
            lines.append(f"  at {format_flop(point.compute):<14} {one:<24}{pair}{beyond}")
    lines += ["", noise_text(made), count_text(made)]
    return "\n".join(lines + [str(finding) for finding in made.findings])


def count_text(made: Multipliers) -> str:
    """Which compute is charged, at which level."""
    exact = made.compute_column == "compute_exact"
    what = "all matrices and attention of each variant" if exact else "the column compute, 6 N D as a rule"
    return f"Compute counts {what}; N is {made.size_column}; intervals hold {format_percent(made.level)}."
