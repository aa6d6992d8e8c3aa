"""What stands in a ledger: trials, points, notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

JSON = dict[str, Any]
State = Literal["pending", "running", "done", "failed", "lost", "dropped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training to make, and what became of it."""

    key: str
    state: State
    payload: JSON
    cause: str
    """Why it failed, was lost or was dropped; empty otherwise."""
    started: float | None
    """Unix time, seconds, of the last attempt."""
    finished: float | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured point of a trial."""

    key: str
    trial: str
    data: JSON
    created: float
    """Unix time, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something written down at a time: a forecast before its rung is trained, an event of the study."""

    id: int
    """Rises with time."""
    created: float
    """Unix time, seconds."""
    kind: str
    data: JSON
