"""Which rank is the cause, where a run of several processes ends.

Whoever fails says so at the store of the group before it ends. A rank that only noticed, by a collective that
broke or took too long, looks there for the cause: one that says it failed by itself, or one that says
nothing, since it died or hangs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import torch.distributed as dist

from scalescope.errors import RunError

PATIENCE_S = 5.0
"""How long ranks that gave up wait for what the others say."""
POLL_S = 0.1


class PeerError(RunError):
    """Another rank failed, died or hangs."""

    def __init__(self, message: str, *, ranks: tuple[int, ...], failed: bool) -> None:
        super().__init__(message, hint="See its failure-RANK.json, what it wrote, and its machine.")
        self.ranks = ranks
        """The causes."""
        self.failed = failed
        """Whether the cause said so itself; else it died or hangs."""


class Roll:
    """What the ranks of one start of a run say of their ends."""

    def __init__(self) -> None:
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self._store: Any = dist.distributed_c10d._get_default_store()

    def explain(
        self, error: Exception, step: int, stop: Callable[[], bool] = lambda: False
    ) -> Exception | None:
        """Say that this rank ends in a step, and find out why; None where the error itself is the cause.

        Parameters
        ----------
        error
            What ended it.
        step
            Its number, from 1.
        stop
            Whether to look no longer.
        """
        noticed = _of_others(error)
        try:
            self._say(error, step, noticed=noticed)
            return self._cause(error, step, stop) if noticed else None
        except RuntimeError as lost:  # the store was rank 0's and went with it
            return None if lost is error else self._silent((0,), error, step)

    def failed(self) -> tuple[int, ...]:
        """Return the ranks that say they have ended."""
        others = (rank for rank in range(self.ranks) if rank != self.rank)
        return tuple(rank for rank in others if self._store.check([_key(rank)]))

    def _say(self, error: Exception, step: int, *, noticed: bool) -> None:
        told = {"noticed": noticed, "step": step, "cause": f"{type(error).__name__}: {_line(error)}"}
        self._store.set(_key(self.rank), json.dumps(told))

    def _cause(self, error: Exception, step: int, stop: Callable[[], bool]) -> PeerError | None:
        end = time.monotonic() + PATIENCE_S
        while True:
            said = {rank: json.loads(self._store.get(_key(rank))) for rank in self.failed()}
            for rank, told in said.items():
                if not told["noticed"]:
                    text = f"rank {rank} failed in step {told['step']}: {told['cause']}"
                    return PeerError(text, ranks=(rank,), failed=True)
            silent = tuple(rank for rank in range(self.ranks) if rank != self.rank and rank not in said)
            if not silent:
                return None
            if time.monotonic() > end or stop():
                return self._silent(silent, error, step)
            time.sleep(POLL_S)

    @staticmethod
    def _silent(ranks: tuple[int, ...], error: Exception, step: int) -> PeerError:
        text = f"{told_ranks(ranks)} did not come in step {step} and died or hangs ({_line(error)})"
        return PeerError(text, ranks=ranks, failed=False)


def told_ranks(ranks: tuple[int, ...]) -> str:
    """Name some ranks."""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _key(rank: int) -> str:
    return f"ended/{rank}"


def _of_others(error: Exception) -> bool:
    """Whether an error is that of a collective."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _line(error: Exception) -> str:
    """Return the first line of an error without the place in a library's source."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[0]
    return text.split("] ", 1)[-1][:200] if text.startswith("[") else text[:200]
