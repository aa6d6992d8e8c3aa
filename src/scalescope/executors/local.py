"""Tasks on this machine: persistent worker processes, each with one task, or one rank of one, at a time."""

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
from scalescope.executors.gangs import GRACE_SECONDS, Gang, check_processes, free_port, with_rank
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
        self._queue: deque[Task] = deque()
        self._gangs: dict[str, Gang] = {}
        """Of every task under way."""
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
            If its key is under way, its function is not allowed, its payload is not JSON, or it needs more
            processes than there are slots.
        RunError
            If the executor is closed or no worker can be started.
        """
        if self._closed:
            raise RunError("the executor is closed", hint="Open another one.")
        if task.key in {queued.key for queued in self._queue} | self._gangs.keys():
            raise InputError(f"a task called {task.key!r} is under way")
        check_function(task.function, self._allowed)
        check_payload(task)
        check_processes(task, self._slots)
        self._queue.append(task)
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
        self._queue = deque(queued for queued in self._queue if queued.key != key)
        self._end(key)
        self._events = deque(event for event in self._events if event.key != key)
        self._dispatch()

    def close(self) -> None:
        """Stop everything; queued tasks are dropped."""
        self._closed = True
        self._queue.clear()
        self._gangs.clear()
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
        return bool(self._queue or self._gangs)

    def _pump(self, timeout: float) -> None:
        """Wait for workers to speak, take what they said, bury the dead, and give out tasks."""
        if self._closed:
            return
        if any(gang.causes for gang in self._gangs.values()):
            timeout = min(timeout, GRACE_SECONDS / 4)
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
            if worker in self._workers:  # not ended meanwhile with the others of its gang
                self._bury(worker)
        for failed in [event for gang in self._gangs.values() if (event := gang.overdue())]:
            self._events.append(failed)
            self._end(failed.key)
        self._dispatch()

    def _note(self, worker: WorkerProcess, lines: list[JSON]) -> None:
        for line in lines:
            gang = self._gangs.get(line["key"])
            if gang is None:
                continue
            if event := gang.hear(worker.rank, line["kind"], line["data"]):
                self._events.append(event)
                if event.kind in ("done", "failed"):
                    del self._gangs[gang.key]
            if line["kind"] in ("done", "failed"):
                worker.key = None

    def _bury(self, worker: WorkerProcess) -> None:
        self._note(worker, worker.drain())
        key = worker.key
        if key is not None:
            self._events.append(self._gangs[key].lose(worker.rank, worker.ending()))
        self._remove(worker)
        if key is not None:
            self._end(key)

    def _end(self, key: str) -> None:
        """End what is left of a task."""
        self._gangs.pop(key, None)
        for worker in [worker for worker in self._workers if worker.key == key]:
            self._remove(worker)

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        for channel in (worker.channel, worker.output):
            if channel in self._selector.get_map():
                self._selector.unregister(channel)
        worker.stop()

    def _dispatch(self) -> None:
        while self._queue and self._free() >= self._queue[0].processes:
            task = self._queue.popleft()
            self._gangs[task.key] = Gang(task.key, task.processes)
            meeting = f"127.0.0.1:{free_port()}" if task.processes > 1 else ""
            for rank in range(task.processes):
                worker = self._idle()
                worker.begin(task.key, _command(task, rank, meeting), rank=rank)
                self._watch(worker)

    def _free(self) -> int:
        return self._slots - sum(worker.key is not None for worker in self._workers)

    def _idle(self) -> WorkerProcess:
        """Find a worker without a task, or start one; there is a free slot."""
        for worker in self._workers:
            if worker.key is None and not worker.ended:
                return worker
        worker = WorkerProcess(self._threads, self._allowed)
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _watch(self, worker: WorkerProcess) -> None:
        """Ask to hear when the worker can take more, only while something waits for it."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.behind else 0)
        self._selector.modify(worker.channel, wanted, worker)


def _command(task: Task, rank: int, meeting: str) -> bytes:
    files = {name: str(path.absolute()) for name, path in task.files.items()}
    payload = with_rank({**task.payload, **files}, rank, task.processes, meeting)
    return json.dumps({"key": task.key, "function": task.function, "payload": payload}).encode() + b"\n"
