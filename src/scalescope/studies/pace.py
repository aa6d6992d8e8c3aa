"""Keeping to a time: how long what is left will take, judged by what was done so far."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Pace:
    """Predicted against actual seconds of trials, and the wall clock.  Belongs to one driver."""

    slots: int
    deadline: float | None
    """On `time.monotonic`; None without a time budget."""
    predicted: dict[str, float] = field(default_factory=dict)
    """Core-seconds of each trial that is left or under way."""
    began: dict[str, float] = field(default_factory=dict)
    share: dict[str, float] = field(default_factory=dict)
    """How much of each trial under way is done."""
    taken: dict[str, int] = field(default_factory=dict)
    """Slots of each trial that takes more than one."""
    done_predicted: float = 0.0
    done_actual: float = 0.0

    def start(self, key: str) -> None:
        """Note that a trial began."""
        self.began[key] = time.monotonic()
        self.share[key] = 0.0

    def end(self, key: str, *, completed: bool = True) -> None:
        """Note that a trial ended; one that failed or was cut says nothing about speed."""
        began = self.began.pop(key, None)
        self.share.pop(key, None)
        predicted = self.predicted.pop(key, 0.0)
        if began is not None and completed and predicted:
            # Older trials fade, so that a change of the machine's speed is seen within a few trials.
            self.done_predicted = 0.8 * self.done_predicted + predicted
            self.done_actual = 0.8 * self.done_actual + (time.monotonic() - began) * self.slots_of(key)

    def slots_of(self, key: str) -> int:
        """Slots that a trial takes."""
        return self.taken.get(key, 1)

    @property
    def slowdown(self) -> float:
        """Actual over predicted seconds, over recent trials and those at least a tenth done; 1 at first."""
        now = time.monotonic()
        running = [(key, share) for key, share in self.share.items() if share > 0.1]
        predicted = self.done_predicted + sum(share * self.predicted[key] for key, share in running)
        actual = self.done_actual + sum((now - self.began[key]) * self.slots_of(key) for key, _ in running)
        # A prior worth 20 core-seconds keeps the first small trials from deciding.
        return (actual + 20.0) / (predicted + 20.0)

    @property
    def core_seconds_left(self) -> float:
        """Predicted core-seconds of all that is left, at the speed that was measured at the start."""
        return self.left(self.predicted)

    def left(self, keys: Iterable[str]) -> float:
        """Predicted core-seconds that are left of some trials."""
        return sum(self.predicted[key] * (1 - self.share.get(key, 0.0)) for key in keys)

    @property
    def seconds_left(self) -> float:
        """Wall seconds until the last trial ends: all slots busy, but no sooner than the longest one."""
        longest = max(
            (self.left((key,)) / self.slots_of(key) for key in self.predicted),
            default=0.0,
        )
        return max(self.core_seconds_left / self.slots, longest) * self.slowdown

    @property
    def seconds_allowed(self) -> float | None:
        """Wall seconds until the deadline; None without one."""
        return None if self.deadline is None else max(1.0, self.deadline - time.monotonic())
