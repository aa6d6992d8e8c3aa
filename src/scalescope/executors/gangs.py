"""Tasks of several processes: each calls the same function with its rank, and what one of them is, all are.

The payload of every process has `gang`: its `rank`, the `size`, and `meeting`, the `host:port` at which rank
0 listens for the others. Messages and the result are those of rank 0. When a process dies or raises, the
others are ended and the task is told once, with the rank that was the cause.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

from scalescope.errors import InputError
from scalescope.executors.protocol import JSON, Event, Task

GRACE_SECONDS = 1.0
"""From the first process that raises until the task is told: one that died is the better cause, and others
often hear of it first, by a connection that broke."""


def check_processes(task: Task, most: int) -> None:
    """Refuse a task of more processes than there are slots, or of none.

    Raises
    ------
    InputError
        If it is one of these.
    """
    if task.processes < 1:
        raise InputError(f"a task needs at least 1 process, got {task.processes}")
    if task.processes > most:
        raise InputError(
            f"{task.key!r} needs {task.processes} processes side by side and there are {most} slots",
            hint="Use a layout of fewer devices, or more slots.",
        )


def with_rank(payload: JSON, rank: int, size: int, meeting: str) -> JSON:
    """Return the payload of one process; that of a task of one process is left alone."""
    return payload if size == 1 else {**payload, "gang": {"rank": rank, "size": size, "meeting": meeting}}


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


@dataclass(slots=True)
class Gang:
    """What is known of the processes of one task.  A task of one process is a gang of one."""

    key: str
    size: int
    causes: dict[int, str] = field(default_factory=dict)
    """Of ranks that raised."""
    failed_at: float = 0.0
    failure: JSON = field(default_factory=dict)
    n_done: int = 0
    result: JSON = field(default_factory=dict)

    def hear(self, rank: int, kind: str, data: JSON) -> Event | None:
        """Take what a process said; return what the driver is told now, if anything."""
        if kind == "failed" and self.size > 1:
            if not self.causes:
                self.failed_at, self.failure = time.monotonic(), data
            self.causes[rank] = str(data.get("cause", ""))
            return None
        if kind == "done":
            self.n_done += 1
            self.result = self.result if rank else data
            done = self.n_done == self.size
            return Event(key=self.key, kind="done", data=self.result) if done else None
        if rank:
            return None
        return Event(key=self.key, kind=kind, data=data)  # type: ignore[arg-type]

    def lose(self, rank: int, cause: str) -> Event:
        """Take that a process died; the task is lost with it."""
        return Event(key=self.key, kind="lost", data={"cause": self._named(rank, cause)})

    def overdue(self) -> Event | None:
        """Return the failure once no death can explain it any more."""
        if not self.causes or time.monotonic() < self.failed_at + GRACE_SECONDS:
            return None
        rank, cause = next(iter(self.causes.items()))
        return Event(key=self.key, kind="failed", data={**self.failure, "cause": self._named(rank, cause)})

    def _named(self, rank: int, cause: str) -> str:
        return cause if self.size == 1 else f"rank {rank} of {self.size}: {cause}"
