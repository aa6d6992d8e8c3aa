"""Where a study stands, told about twice a second while it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a study stands, for whoever shows it."""

    phase: str
    n_done: int
    n_left: int
    n_running: int
    core_seconds_done: float
    """Done or given up, in this phase."""
    core_seconds_left: float
    seconds_left: float
    slowdown: float
    last: str
    """What happened last, in a few words."""


Watch = Callable[[Status], None]
