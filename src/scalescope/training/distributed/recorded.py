"""An engine that is watched: every step is recorded, and a wish to end is heard by all ranks at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor

from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.faults import PeerError, Roll, told_ranks
from scalescope.training.distributed.journal import Journal
from scalescope.training.engine import Kept, Step
from scalescope.training.tasks.protocol import Batch


class StoppedError(Exception):
    """A run was asked to end, and did so between two steps."""

    def __init__(self, step: int) -> None:
        super().__init__(f"ended by a signal after step {step}")
        self.step = step


class Recorded:
    """A `MeshEngine` that tells a journal what it does.

    Parameters
    ----------
    engine
        What does the work.
    journal
        Told of every step.
    after
        Called after each step on all ranks, with whether the run ends there; the place for checkpoints.
    """

    def __init__(
        self, engine: MeshEngine, journal: Journal, after: Callable[[Recorded, bool], None] = lambda *_: None
    ) -> None:
        self.engine, self.journal, self.after = engine, journal, after
        self.steps = self.tokens = 0
        self.ended = False
        """Whether this rank was asked to end."""
        self.leaving = False
        """Whether it ends by itself."""

    def step(self, batch: Batch, share: float) -> Step:
        """Take a step; see `Engine`.

        Raises
        ------
        StoppedError
            If any rank was asked to end.
        """
        started = time.perf_counter()
        done = self.engine.step(batch, share)
        self.steps += 1
        tokens = len(batch) * self.journal.config.shape.context
        self.tokens += tokens
        self.journal.step(
            step=self.steps,
            tokens=self.tokens,
            speed=tokens / (time.perf_counter() - started),
            loss=done.loss,
            norm=done.gradient_norm,
        )
        wish = torch.tensor(int(self.ended), device=self.engine.ranks.device)
        dist.all_reduce(wish, op=dist.ReduceOp.MAX)
        self.after(self, bool(wish))
        if int(wish):
            raise StoppedError(self.steps)
        return done

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of every sequence; see `Engine`."""
        return self.engine.losses(batch)

    def tolerates(self, step: Step) -> bool:
        """Whether a step was merely left out; see `Engine`."""
        return self.engine.tolerates(step)

    def blame(self, batch: Batch) -> str:
        """Name the first part that is not finite; see `Engine`."""
        return self.engine.blame(batch)

    def snapshot(self) -> Kept:
        """Copy weights and optimiser states."""
        return self.engine.snapshot()

    def restore(self, kept: Kept) -> None:
        """Go back to a snapshot."""
        self.engine.restore(kept)

    @contextmanager
    def listening(self, roll: Roll) -> Iterator[None]:
        """Take SIGTERM as the wish to end after the step that is under way, and look for causes of errors.

        Where others have ended the step never will, and whatever keeps this rank from it is left: the trace
        of the `PeerError` shows what. A rank that leaves is deaf to SIGTERM from then on, since its cause is
        still to be written down while torchrun ends the others of the one that failed.

        Raises
        ------
        PeerError
            If another rank is the cause.
        """

        def hear(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self.ended = True
            gone = () if self.leaving else roll.failed()
            if gone:
                self.leaving = True
                raise PeerError(
                    f"was still in step {self.steps + 1} when {told_ranks(gone)} had ended",
                    ranks=gone,
                    failed=True,
                )

        before = signal.signal(signal.SIGTERM, hear)
        try:
            yield
        except (StoppedError, PeerError):
            raise
        except Exception as error:
            self.leaving = True
            cause = roll.explain(error, self.steps + 1, stop=lambda: self.ended)
            if cause is None:
                raise
            raise cause from error
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if self.leaving else before)
