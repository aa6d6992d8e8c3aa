"""How work is run elsewhere: tasks go in, events come out.

A task names a function `run(payload, emit) -> result` by its dotted path; payload, messages and result are
JSON values, so a task can cross a pipe, a process or a network. The function may call `emit(message)` as
often as it likes; each message reaches the driver as an `Event` while the task runs. Only the driver
keeps state: a worker that dies takes nothing with it but its task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call to make elsewhere."""

    key: str
    """Unique among the tasks under way."""
    function: str
    """`package.module:function`, called as `function(payload, emit)`."""
    payload: JSON
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files that the function reads: payload key to path here. The engine puts a path that is valid where
    the task runs under the same key of the payload."""
    needs: Mapping[str, float] = field(default_factory=dict)
    """What a cluster sets aside beside cores, for each process: `gpus` (a share of one may be asked for),
    `memory_bytes`. One machine has its slots and nothing else to give."""
    processes: int = 1
    """Slots that it takes at once, a process in each; see `gangs` for what these are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a task did."""

    key: str
    kind: Literal["started", "message", "done", "failed", "lost"]
    """`failed`: the function raised, trying again gives the same. `lost`: the worker died or its node did."""
    data: JSON = field(default_factory=dict)
    """The message, the result, or `{"cause": one line}`."""


class Executor(Protocol):
    """Runs tasks side by side."""

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        ...

    def submit(self, task: Task) -> None:
        """Queue a task; it starts when a slot is free, in the order of submission."""
        ...

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what has happened, waiting up to `timeout` seconds for the first event."""
        ...

    def cancel(self, key: str) -> None:
        """Stop a task; no further event of it arrives. Unknown keys are ignored."""
        ...

    def close(self) -> None:
        """Stop everything; queued tasks are dropped."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...
