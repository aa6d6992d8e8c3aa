"""What is doubtful about the data of a study: corpora read over, ladders too short, arms that are uneven."""

from __future__ import annotations

from collections.abc import Sequence

from scalescope.errors import InputError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import Finding
from scalescope.studies.arms import Arm
from scalescope.studies.comparing import decades
from scalescope.studies.design import Design
from scalescope.studies.planned import Planned
from scalescope.studies.sizes import size_of
from scalescope.units import format_count, format_factor, format_significant

DECADES_WISHED = 1.5
"""Of compute in a comparison: less says little about whether a gain holds."""
UNEVEN = 1.1
"""Ratio of the sizes of two arms at one rung beyond which it is told."""


def check_epochs(available: int, design: Design, most: float) -> None:
    """Refuse a design that would read its `available` tokens more often than is allowed.

    Raises
    ------
    InputError
        If it would; the message has how often.
    """
    needed = design.most_tokens / available
    if needed > most:
        raise InputError(
            f"the corpus has {format_count(available)} training tokens, the longest run "
            f"needs {format_count(design.most_tokens)}: {needed:.1f} epochs",
            hint=f"Use a larger corpus or a smaller budget; up to {most:g} epochs are accepted, or "
            "max_epochs of the file that --config names.",
        )


def doubts_of_epochs(available: int, design: Design) -> list[Finding]:
    """Tell that text was read over."""
    needed = design.most_tokens / available
    if needed <= 1:
        return []
    return [
        Finding(
            code="STU006",
            text=f"The longest run reads the corpus {format_factor(needed)} over.",
            hint="Repeated tokens teach less than fresh ones; a larger corpus makes the law cleaner.",
        )
    ]


def doubts_of_span(design: Design) -> list[Finding]:
    """Tell a ladder that is too short to say whether a gain holds."""
    found = decades(design)
    if found >= DECADES_WISHED:
        return []
    return [
        Finding(
            code="STU011",
            text=f"The ladder spans {format_significant(found)} decades of compute.",
            hint=f"Whether a gain holds shows over {DECADES_WISHED:g} or more; give a larger budget.",
        )
    ]


def doubts_of_arms(ledger: Ledger, planned: Sequence[Planned], arms: Sequence[Arm]) -> list[Finding]:
    """Tell arms that gave nothing, points that others lack, and sizes that differ."""
    points = {point.key for point in ledger.points()}
    made: dict[str, set[tuple[str, int]]] = {arm.name: set() for arm in arms}
    for item in planned:
        made[item.arm] |= {
            (item.trial.name, horizon) for horizon in item.trial.horizons if f"{item.key}@{horizon}" in points
        }
    found = [_nothing(ledger, name) for name, pairs in made.items() if not pairs]
    some = [pairs for pairs in made.values() if pairs]
    uneven = len(set[tuple[str, int]]().union(*some) - some[0].intersection(*some)) if some else 0
    if uneven:
        found.append(
            Finding(
                code="STU015",
                text=f"{uneven} of the points were made in some variants only.",
                hint="Failed trials and time that ran out leave such gaps; the fits use what there is.",
            )
        )
    return [*found, *_sizes_apart(planned, arms)]


def _nothing(ledger: Ledger, name: str) -> Finding:
    causes = [trial.cause for trial in ledger.trials("failed") if trial.payload.get("arm") == name]
    return Finding(
        code="STU014",
        text=f"{name} gave no point{': ' + causes[0] if causes else ''}.",
        hint="The others are compared without it; look at the causes of its trials.",
    )


def _sizes_apart(planned: Sequence[Planned], arms: Sequence[Arm]) -> list[Finding]:
    largest = {arm.name: max(size_of(i.trial.shape) for i in planned if i.arm == arm.name) for arm in arms}
    base, found = arms[0].name, []
    for name, size in largest.items():
        ratio = size / largest[base]
        if max(ratio, 1 / ratio) > UNEVEN:
            found.append(
                Finding(
                    code="STU016",
                    text=f"At equal width and depth {name} has {format_factor(ratio)} the parameters of "
                    f"{base}, counting blocks and head and of experts those that a token meets.",
                    hint="Its compute is counted with them; what is compared is loss at equal compute.",
                )
            )
    return found
