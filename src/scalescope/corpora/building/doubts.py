"""What a reader should know about a corpus that was just built, as findings."""

from __future__ import annotations

from collections.abc import Sequence

from scalescope.corpora.building.choosing import CONTAMINATION
from scalescope.corpora.building.stages import Stage
from scalescope.corpora.built import BuiltSource
from scalescope.points import Finding
from scalescope.units import format_percent

MUCH = 0.5
"""Share of its documents above which what a stage removes is doubtful."""
MUCH_CONTAMINATED = 0.05


def doubts_of_build(stages: Sequence[Stage], sources: Sequence[BuiltSource]) -> tuple[Finding, ...]:
    """Return what is doubtful about what the stages removed and what is left of the sources."""
    found = []
    for stage in stages:
        share = stage.n_removed / stage.documents_in if stage.documents_in else 0.0
        if stage.name == CONTAMINATION and share > MUCH_CONTAMINATED:
            found.append(
                Finding(
                    code="COR014",
                    text=f"{format_percent(share)} of the training documents held held-out text.",
                    hint="The sources repeat themselves; remove near-duplicates too, or raise the threshold.",
                )
            )
        elif share > MUCH:
            found.append(
                Finding(
                    code="COR013",
                    text=f"Stage {stage.name!r} removed {format_percent(share)} of its documents.",
                    hint="Look at its samples in report.md; its limits may be for another kind of text.",
                )
            )
    return (*found, *_about_sources(sources))


def _about_sources(sources: Sequence[BuiltSource]) -> list[Finding]:
    return [
        Finding(
            code="COR015",
            text=f"Nothing is left of source {source.name!r} for training.",
            hint="The other sources take its weight; look at report.md for what removed it.",
        )
        for source in sources
        if source.train_tokens == 0
    ]
