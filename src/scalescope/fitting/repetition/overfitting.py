"""Where the held-out loss of a run rises again, and how far equal runs are apart."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from scalescope.fitting.repetition.result import Overfitted
from scalescope.points import Runs

LEAST = 0.003
"""Rise of the log loss that is told where the noise is not known or smaller: branches of one trunk share
their luck."""
SPREADS = 1.0
"""Standard deviations between seeds that a rise must exceed; points of one run differ by less."""


def trunks(runs: Runs) -> list[npt.NDArray[np.intp]]:
    """Return the rows of every training run, fewest tokens first; without names each row is one."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row in range(len(runs)):
        groups[runs.names[row] if runs.names else str(row)].append(row)
    return [np.array(sorted(rows, key=lambda row: runs.tokens[row])) for rows in groups.values()]


def rising(runs: Runs, noise: float) -> npt.NDArray[np.bool_]:
    """Say which rows lie beyond the lowest loss of their run and above it by more than noise."""
    least = max(LEAST, SPREADS * noise) if np.isfinite(noise) else LEAST
    found = np.zeros(len(runs), dtype=np.bool_)
    for rows in trunks(runs):
        loss = np.log(runs.loss[rows])
        lowest = int(loss.argmin())
        found[rows[lowest + 1 :]] = loss[lowest + 1 :] > loss[lowest] + least
    return found


def told_overfitting(runs: Runs, rose: npt.NDArray[np.bool_]) -> tuple[Overfitted, ...]:
    """Describe the runs whose loss rose, the most risen first."""
    found = []
    for rows in trunks(runs):
        if not rose[rows].any():
            continue
        lowest, last = rows[int(runs.loss[rows].argmin())], rows[-1]
        found.append(
            Overfitted(
                size=float(runs.size[last]),
                unique=float(runs["tokens_unique"][last]),
                best_epochs=float(runs.tokens[lowest] / runs["tokens_unique"][lowest]),
                last_epochs=float(runs.tokens[last] / runs["tokens_unique"][last]),
                rise=float(runs.loss[last] - runs.loss[lowest]),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.rise))


def seed_spread(runs: Runs) -> tuple[float, int]:
    """Return the pooled standard deviation of the log loss between seeds of one setting, and its freedom."""
    if "seed" not in runs:
        return float("nan"), 0
    groups: dict[tuple[float, ...], list[float]] = defaultdict(list)
    for n, d, u, loss in zip(runs.size, runs.tokens, runs["tokens_unique"], runs.loss, strict=True):
        groups[float(n), float(d), float(u)].append(float(np.log(loss)))
    squares = sum(float(((np.array(each) - np.mean(each)) ** 2).sum()) for each in groups.values())
    freedom = sum(len(each) - 1 for each in groups.values())
    return (float(np.sqrt(squares / freedom)), freedom) if freedom else (float("nan"), 0)
