"""Where a model stops: doubling while it runs, then bisection between what ran and what did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scalescope.cost import Positions
from scalescope.points import State

RESOLUTION = 0.05
"""The wall is known when the two lengths differ by this share at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WallSearch:
    """How far to look."""

    most: int = 1 << 20
    """Longest length that is tried."""
    step: int = 64
    """Lengths between two doublings are multiples of this."""


def next_length(states: Mapping[int, State], search: WallSearch, positions: Positions) -> int | None:
    """Return the length that tells most about the wall; None once it is known.

    Parameters
    ----------
    states
        How the lengths that were tried ended.
    search
        How far to look.
    positions
        What the configuration allows: the longest text it lets run is tried, none beyond it.
    """
    most = min(search.most, positions.limit or search.most)
    ran = max((length for length, state in states.items() if state == "ok"), default=None)
    if ran is None:
        return None
    failed = min((length for length, state in states.items() if state != "ok" and length > ran), default=None)
    if failed is None or failed > most:
        longer = min(2 * ran, most)
        return longer if longer > ran else None
    middle = round((ran * failed) ** 0.5 / search.step) * search.step
    if failed <= ran * (1 + RESOLUTION) or not ran < middle < failed:
        return None
    return int(middle)
