"""What every task is: training sequences by number, and the fixed ones that every model is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from scalescope.training.blocks.cross_entropy import IGNORED

__all__ = ["IGNORED", "Batch", "Task"]


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

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if self.inputs.device == device:
            return self
        return Batch(self.inputs.to(device, non_blocking=True), self.targets.to(device, non_blocking=True))


class Task(Protocol):
    """Where a trial's batches come from; equal numbers give equal sequences, on any machine."""

    def batch(self, start: int, n: int) -> Batch:
        """Return training sequences number `start` to `start + n - 1` of the run."""
        ...

    def evaluation(self) -> Batch:
        """Return the held-out sequences."""
        ...

    def parts(self) -> Mapping[str, slice]:
        """Return stretches of the held-out sequences whose losses are told apart, such as those of a source.

        Empty where there is only one.
        """
        ...

    def epoch(self, start: int) -> float:
        """Return how often the training text was read before sequence number `start`."""
        ...

    def columns(self, loss: float, start: int) -> dict[str, Any]:
        """Return what only the task can tell of a point: the model's loss before sequence number `start`.

        Names are those of `scalescope.points.columns`.
        """
        ...
