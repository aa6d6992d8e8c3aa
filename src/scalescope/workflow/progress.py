"""Where a study stands while it runs, with a quick fit every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scalescope.errors import FitError, InputError
from scalescope.fitting import fit
from scalescope.planning import plan
from scalescope.units import format_count

if TYPE_CHECKING:
    from scalescope.studies.status import Status
    from scalescope.studies.study import Study

ESTIMATE_EVERY_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a study stands, with the current estimate."""

    phase: str
    """`tune`, `grid`, `held-out`, then `report`."""
    n_done: int = 0
    n_left: int = 0
    share_done: float = 0.0
    """Of the phase, by core-seconds."""
    seconds_left: float | None = None
    """Of the whole study, fits and report left out."""
    estimate: str = ""
    last: str = ""
    """What happened last."""
    notice: str = ""
    """Something to be shown once, such as the design before it runs."""


Watch = Callable[[Progress], None]


class Watcher:
    """Turns the driver's status into progress, with a quick fit every few seconds."""

    def __init__(self, work: Study, watch: Watch) -> None:
        self.work, self.watch = work, watch
        self.estimate = ""
        self.next = 0.0
        self.n_fitted = 0

    def __call__(self, status: Status) -> None:
        """Pass the status on as progress."""
        if status.n_done != self.n_fitted and time.monotonic() > self.next:
            self.estimate = quick_estimate(self.work)
            self.next = time.monotonic() + ESTIMATE_EVERY_SECONDS
            self.n_fitted = status.n_done
        total = status.core_seconds_done + status.core_seconds_left
        self.watch(
            Progress(
                phase=status.phase,
                n_done=status.n_done,
                n_left=status.n_left,
                share_done=status.core_seconds_done / total if total else 0.0,
                seconds_left=status.seconds_left,
                estimate=self.estimate,
                last=status.last,
            )
        )


def quick_estimate(work: Study) -> str:
    """Return what the points so far say, in a few words; empty while they say nothing."""
    if work.settings.design in ("mixture", "repetition"):
        return ""
    if len(work.arms) > 1:
        return quick_comparison(work)
    try:
        runs = work.runs()
        found = fit(runs, "isoflop", resamples=0)
        best = plan(found, [runs.spent * 10]).allocations[0]
    except (InputError, FitError):
        return ""
    return (
        f"N* ~ C^{found.coefficients['a'].value:.2f}; 10x: {format_count(best.params.value)} parameters, "
        f"loss {best.loss.value:.3f}"
    )


def quick_comparison(work: Study) -> str:
    """Return how far each variant is from the baseline over the points that both have; no multiplier yet."""
    losses: dict[str, dict[tuple[str, float], float]] = {arm.name: {} for arm in work.arms}
    for point in work.ledger.points():
        row = point.data
        if row["phase"] == "grid":
            losses[row["arm"]][row["name"], row["budget"]] = row["loss"]
    base, *others = losses
    told = []
    for name in others:
        pairs = losses[base].keys() & losses[name].keys()
        if pairs:
            mean = sum(losses[name][pair] - losses[base][pair] for pair in pairs) / len(pairs)
            told.append(f"{name} {mean:+.3f} nats over {len(pairs)} pairs")
    return "; ".join(told)
