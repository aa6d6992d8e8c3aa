"""What is doubtful about a best mixture."""

from __future__ import annotations

from scalescope.fitting.mixtures.result import Mixtures
from scalescope.points import Finding
from scalescope.units import format_loss, format_percent

EDGE, NO_SEEDS, FLAT, MISFIT = "STU040", "STU041", "STU042", "STU043"

AT_EDGE = 0.01
"""A best share nearer to the least that was tried is at the edge."""
WIDE = 0.5
"""Width of the interval of a share beyond which the best mixture is hardly known."""
MISFITTED = 2.5
"""Ratio of the scatter around the laws to that between seeds from which the form of the law is in doubt."""
SURE = 3
"""Repeats from which that ratio is trusted."""


def doubts_of(found: Mixtures) -> tuple[Finding, ...]:
    """Gather what is doubtful, beside what the laws' fits say."""
    return (*_edges(found), *_noise(found), *_flat(found), *_misfit(found), *_of_fits(found))


def _edges(found: Mixtures) -> list[Finding]:
    at = [law for law in found.laws if law.share.value < law.least + AT_EDGE and len(found.laws) > 1]
    return [
        Finding(
            code=EDGE,
            text=f"The best share of {law.name} is the smallest that was tried, {format_percent(law.least)}.",
            hint="Less of it may be better still; train a mixture without it.",
        )
        for law in at
    ]


def _noise(found: Mixtures) -> list[Finding]:
    if found.noise_freedom:
        return []
    return [
        Finding(
            code=NO_SEEDS,
            text="No mixture was trained with two seeds, so the noise between runs is not known.",
            hint="Intervals rest on the scatter around the laws alone; give a larger budget.",
        )
    ]


def _flat(found: Mixtures) -> list[Finding]:
    wide = [law.name for law in found.laws if law.share.high - law.share.low > WIDE]
    if not wide:
        return []
    return [
        Finding(
            code=FLAT,
            text=f"The best share of {', '.join(wide)} is hardly determined: its interval is wider than "
            f"{format_percent(WIDE)}.",
            hint="Near the best mixture the loss is flat, and shares may be chosen by other needs.",
        )
    ]


def _misfit(found: Mixtures) -> list[Finding]:
    if found.noise_freedom < SURE or not found.spread > MISFITTED * found.noise:
        return []
    return [
        Finding(
            code=MISFIT,
            text=f"Runs lie {format_loss(found.spread)} nats around the laws and {format_loss(found.noise)} "
            "around each other: the form of the law misses something.",
            hint="Trust the measured hold-out more than the law; add mixtures near the best one.",
        )
    ]


def _of_fits(found: Mixtures) -> list[Finding]:
    """Say which laws have doubts of their own that bear on the optimum."""
    return list(
        dict.fromkeys(
            Finding(code=one.code, text=f"Law of {law.name}: {one.text}", hint=one.hint)
            for law in found.laws
            for one in law.fit.findings
            if one.code not in ("FIT001", "FIT002")
        )
    )
