"""What every task is: training sequences by number, and the fixed ones that every model is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

IGNORED = -100
"""A target that does not count."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some sequences."""

    inputs: Tensor
    """Token numbers (sequences, time), or patches (sequences, time, numbers)."""
    targets: Tensor
    """Token numbers (sequences, time), `IGNORED` where nothing is asked; or classes (sequences, 1)."""

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, part: slice) -> Batch:
        """Return some of the sequences."""
        return Batch(self.inputs[part], self.targets[part])


class Task(Protocol):
    """Where a trial's batches come from; equal numbers give equal sequences, on any machine."""

    def batch(self, start: int, n: int) -> Batch:
        """Return training sequences number `start` to `start + n - 1` of the run."""
        ...

    def evaluation(self) -> Batch:
        """Return the held-out sequences."""
        ...

    def epoch(self, start: int) -> float:
        """Return how often the training text was read before sequence number `start`."""
        ...
