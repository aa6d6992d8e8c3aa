"""Tasks on this machine: persistent worker processes, one task each at a time."""

from __future__ import annotations

import json
import selectors
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from scalescope.errors import InputError, RunError
from scalescope.executors.calls import ALLOWED, check_function, check_payload
from scalescope.executors.processes import WorkerProcess
from scalescope.executors.protocol import JSON, Event, Task


class LocalExecutor:
    """Runs tasks in worker processes of this machine.

    A worker starts when a task first needs it and then serves one task after the other; one that dies is
    replaced when the next task needs it. If the driver dies, however it dies, its workers end too. Belongs
    to one thread. It is its own context manager.

    Parameters
    ----------
    slots
        How many tasks run at once.
    threads
        Threads of numerical libraries inside each worker.
    allowed
        Prefixes of the functions that tasks may name.

    Raises
    ------
    InputError
        If `slots` or `threads` is below one.
    """

    def __init__(self, slots: int, threads: int = 1, *, allowed: Sequence[str] = ALLOWED) -> None:
        for name, value in (("slots", slots), ("threads", threads)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        self._slots = slots
        self._threads = threads
        self._allowed = tuple(allowed)
        self._queue: deque[tuple[str, bytes]] = deque()
        """Key and command of every task that waits."""
        self._events: deque[Event] = deque()
        self._workers: list[WorkerProcess] = []
        self._selector = selectors.DefaultSelector()
        self._closed = False

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return self._slots

    @property
    def workers(self) -> tuple[int, ...]:
        """The process of every living worker."""
        return tuple(worker.pid for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Queue a task; it starts when a slot is free, in the order of submission.

        Raises
        ------
        InputError
            If its key is under way, its function is not allowed, or its payload is not JSON.
        RunError
            If the executor is closed or no worker can be started.
        """
        if self._closed:
            raise RunError("the executor is closed", hint="Open another one.")
        if task.key in {key for key, _ in self._queue} | {worker.key for worker in self._workers}:
            raise InputError(f"a task called {task.key!r} is under way")
        check_function(task.function, self._allowed)
        check_payload(task)
        self._queue.append((task.key, _command(task)))
        self._dispatch()

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what has happened, waiting up to `timeout` seconds for the first event.

        Ends at once when no task is under way, since nothing can happen then.
        """
        until = time.monotonic() + timeout
        self._pump(0.0)
        while not self._events and self._busy() and (left := until - time.monotonic()) > 0:
            self._pump(left)
        while self._events:
            yield self._events.popleft()

    def cancel(self, key: str) -> None:
        """Stop a task; no further event of it arrives. Unknown keys are ignored."""
        self._queue = deque(queued for queued in self._queue if queued[0] != key)
        for worker in [worker for worker in self._workers if worker.key == key]:
            self._remove(worker)
        self._events = deque(event for event in self._events if event.key != key)
        self._dispatch()

    def close(self) -> None:
        """Stop everything; queued tasks are dropped."""
        self._closed = True
        self._queue.clear()
        self._events.clear()
        for worker in list(self._workers):
            self._remove(worker)
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _busy(self) -> bool:
        return bool(self._queue) or any(worker.key is not None for worker in self._workers)

    def _pump(self, timeout: float) -> None:
        """Wait for workers to speak, take what they said, bury the dead, and give out tasks."""
        if self._closed:
            return
        for ready, mask in self._selector.select(timeout):
            worker: WorkerProcess = ready.data
            if ready.fileobj is worker.output:
                if not worker.read_output():
                    self._selector.unregister(worker.output)
                continue
            if mask & selectors.EVENT_WRITE:
                worker.flush()
                self._watch(worker)
            if mask & selectors.EVENT_READ:
                self._note(worker, worker.receive())
        for worker in [worker for worker in self._workers if worker.ended]:
            self._bury(worker)
        self._dispatch()

    def _note(self, worker: WorkerProcess, lines: list[JSON]) -> None:
        for line in lines:
            self._events.append(Event(key=line["key"], kind=line["kind"], data=line["data"]))
            if line["kind"] in ("done", "failed"):
                worker.key = None

    def _bury(self, worker: WorkerProcess) -> None:
        self._note(worker, worker.drain())
        if worker.key is not None:
            self._events.append(Event(key=worker.key, kind="lost", data={"cause": worker.ending()}))
        self._remove(worker)

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        for channel in (worker.channel, worker.output):
            if channel in self._selector.get_map():
                self._selector.unregister(channel)
        worker.stop()

    def _dispatch(self) -> None:
        while self._queue and (worker := self._idle()):
            worker.begin(*self._queue.popleft())
            self._watch(worker)

    def _idle(self) -> WorkerProcess | None:
        """Find a worker without a task, starting one if there may be more."""
        for worker in self._workers:
            if worker.key is None and not worker.ended:
                return worker
        if len(self._workers) >= self._slots:
            return None
        worker = WorkerProcess(self._threads, self._allowed)
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _watch(self, worker: WorkerProcess) -> None:
        """Ask to hear when the worker can take more, only while something waits for it."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.behind else 0)
        self._selector.modify(worker.channel, wanted, worker)


def _command(task: Task) -> bytes:
    files = {name: str(path.absolute()) for name, path in task.files.items()}
    command = {"key": task.key, "function": task.function, "payload": {**task.payload, **files}}
    return json.dumps(command).encode() + b"\n"
