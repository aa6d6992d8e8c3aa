"""What is doubtful about the worth of repeated tokens."""

from __future__ import annotations

from scalescope.fitting.repetition.result import Repetition
from scalescope.points import Finding
from scalescope.units import format_count, format_loss, format_significant

OVERFITTED, NO_SEEDS, APART, BEYOND = "STU050", "STU051", "STU052", "STU053"

TOLD = 4
"""Overfitted runs that are named, at most."""
DISAGREE = 2.0
"""Ratio of the constants of two forms from which it is told."""


def doubts_of(found: Repetition) -> tuple[Finding, ...]:
    """Gather what is doubtful, with what the fit says itself."""
    own = (*_overfitting(found), *_seeds(found), *_forms(found), *_reach(found))
    return tuple(dict.fromkeys((*own, *found.fit.findings)))


def _overfitting(found: Repetition) -> list[Finding]:
    if not found.overfitted:
        return []
    named = [
        f"{format_count(one.size)} parameters on {format_count(one.unique)} tokens from "
        f"{format_significant(one.best_epochs, 2)} epochs on (+{format_loss(one.rise)} nats)"
        for one in found.overfitted[:TOLD]
    ]
    n_left_out = sum(
        not kept and not held for kept, held in zip(found.fitted, found.runs.held_out, strict=True)
    )
    more = "" if len(found.overfitted) <= TOLD else f" and {len(found.overfitted) - TOLD} more"
    return [
        Finding(
            code=OVERFITTED,
            text=f"{len(found.overfitted)} runs overfit: their held-out loss rises as they read on: "
            f"{'; '.join(named)}{more}.",
            hint=f"The law cannot rise; {n_left_out} points beyond the lowest loss are not fitted.",
        )
    ]


def _seeds(found: Repetition) -> list[Finding]:
    if found.noise_freedom:
        return []
    return [
        Finding(
            code=NO_SEEDS,
            text="No setting was trained with two seeds, so the noise between runs is not known.",
            hint="Intervals rest on the scatter around the law alone; give a larger budget.",
        )
    ]


def _forms(found: Repetition) -> list[Finding]:
    values = {form.name: form.constant.value for form in found.forms}
    if max(values.values()) <= DISAGREE * min(values.values()):
        return []
    said = ", ".join(f"{name}: {format_significant(value, 3)}" for name, value in values.items())
    return [
        Finding(
            code=APART,
            text=f"The constant R_D depends on what else is fitted: {said}.",
            hint="Read it as a span, and trust the measured hold-out more than the constant.",
        )
    ]


def _reach(found: Repetition) -> list[Finding]:
    if not found.half.value > found.most_epochs:
        return []
    return [
        Finding(
            code=BEYOND,
            text=f"Half the worth lies beyond the {format_significant(found.most_epochs, 2)} epochs that "
            "were fitted.",
            hint="It is an extrapolation; read the text more often, or with larger models.",
        )
    ]
