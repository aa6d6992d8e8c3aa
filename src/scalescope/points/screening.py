"""What a reader of someone's table should know: names guessed, columns ignored, numbers that look wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from scalescope.points.cells import Cells
from scalescope.points.checks import checkpoints, counting, losses, magnitudes, ranges, rows, swaps
from scalescope.points.checks.evidence import Evidence
from scalescope.points.findings import Finding
from scalescope.points.naming import Match
from scalescope.points.runs import Runs

CHECKS: tuple[Callable[[Evidence], Iterable[Finding]], ...] = (
    counting.about_count,
    counting.about_derived,
    counting.about_factor,
    counting.about_scatter,
    swaps.about_unique_tokens,
    swaps.about_size_and_tokens_swapped,
    swaps.about_rising_loss,
    magnitudes.about_size_and_tokens,
    magnitudes.about_compute,
    magnitudes.about_percent,
    magnitudes.about_shares,
    losses.about_bits,
    losses.about_perplexity,
    losses.about_logarithm,
    rows.about_repeats,
    rows.about_near_repeats,
    rows.about_outliers,
    rows.about_groups,
    checkpoints.about_checkpoints,
    ranges.about_constants,
    ranges.about_narrow_ranges,
)
"""Every check of a table; each makes findings of one code."""


def screen(
    runs: Runs, *, matches: Iterable[Match] = (), rest: Mapping[str, Cells] | None = None
) -> tuple[Finding, ...]:
    """Return what is worth knowing about a table, none of it an error.

    Parameters
    ----------
    runs
        The table in base units.
    matches
        How its columns were recognised, where it was read from a file.
    rest
        Columns of the file that are none of ours.
    """
    taken = list(matches)
    table = Evidence.of(runs, taken, rest or {})
    # Numbers near the limits of floats overflow in some ratio; a check then sees an infinity.
    with np.errstate(all="ignore"):
        checked = [finding for check in CHECKS for finding in check(table)]
    return (*_about_names(taken), *_about_ignored(list(table.rest)), *checked)


def _about_names(taken: list[Match]) -> Iterable[Finding]:
    guessed = [match for match in taken if match.guessed]
    if guessed:
        pairs = ", ".join(
            f"{match.theirs!r} as {match.ours}" + (f" in {match.unit}" if match.unit else "")
            for match in guessed
        )
        yield Finding(code="RUN001", text=f"Took {pairs}.", hint="Map the columns by name to be sure.")


def _about_ignored(ignored: list[str]) -> Iterable[Finding]:
    if ignored:
        shown = ", ".join(repr(name) for name in ignored[:8]) + (", ..." if len(ignored) > 8 else "")
        columns = "1 column" if len(ignored) == 1 else f"{len(ignored)} columns"
        yield Finding(code="RUN002", text=f"Ignored {columns}: {shown}.")
