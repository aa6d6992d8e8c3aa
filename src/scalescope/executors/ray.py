"""Tasks on a Ray cluster: each a streaming generator, so that messages arrive while it runs.

Ray never repeats a task by itself here: a task whose worker or node died is reported as lost, and the driver
decides. Files cross the network once for each content and are kept on the nodes under their digest.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scalescope.errors import InputError, MissingExtraError, RunError
from scalescope.executors.cache import cache_folder, digest_file, keep_file
from scalescope.executors.calls import (
    ALLOWED,
    LONGEST_CAUSE,
    Kind,
    call,
    check_function,
    check_payload,
    one_line,
)
from scalescope.executors.protocol import JSON, Event, Task

_CHUNK = 64 << 20
_SECONDS_TO_CONNECT = 5.0
_WHERE = "Start a cluster with `ray start --head` and give its host:port, or leave the address out."

Message = tuple[Kind, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file in the object store, in chunks."""

    digest: str
    suffix: str
    size: int
    chunks: tuple[Any, ...]


class RayExecutor:
    """Runs tasks on a Ray cluster, or on a Ray started on this machine alone.

    A program that has already connected to Ray is left connected by `close`. Belongs to one thread. It is
    its own context manager.

    Parameters
    ----------
    address
        Of the head node, `host:port`, or `auto` for a cluster running on this machine. None starts Ray here,
        unless the environment variable `RAY_ADDRESS` names a cluster.
    slots
        How many tasks run at once; by default as many as the cluster's cores allow.
    threads
        Cores that each task takes, and threads of numerical libraries inside it.
    allowed
        Prefixes of the functions that tasks may name.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    InputError
        If no cluster answers at the address, no node of it has `threads` cores, or a number is below one.
    """

    def __init__(
        self,
        address: str | None = None,
        slots: int | None = None,
        threads: int = 1,
        *,
        allowed: Sequence[str] = ALLOWED,
    ) -> None:
        for name, value in (("slots", slots), ("threads", threads)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        self._slots = slots
        self._threads = threads
        self._allowed = tuple(allowed)
        self._queue: deque[Task] = deque()
        self._events: deque[Event] = deque()
        self._running: dict[Any, str] = {}
        self._stored: dict[str, StoredFile] = {}
        self._digests: dict[tuple[str, int, int], str] = {}
        self._closed = False
        self._owner = _connect(address, None if slots is None else slots * threads)
        self._stream = _remote_stream(threads)
        if not self._room():
            self.close()
            raise InputError(
                f"no node of the Ray cluster has {threads} cores", hint="Use fewer threads for each trial."
            )

    @property
    def slots(self) -> int:
        """How many tasks run at once; follows the cluster as nodes come and go unless it was set."""
        return self._slots if self._slots is not None else max(1, self._room())

    def submit(self, task: Task) -> None:
        """Queue a task; it starts when a slot is free, in the order of submission.

        Raises
        ------
        InputError
            If its key is under way, its function is not allowed, its payload is not JSON, or a file of it
            cannot be read.
        RunError
            If the executor is closed.
        """
        if self._closed:
            raise RunError("the executor is closed", hint="Open another one.")
        if task.key in {queued.key for queued in self._queue} | set(self._running.values()):
            raise InputError(f"a task called {task.key!r} is under way")
        check_function(task.function, self._allowed)
        check_payload(task)
        self._queue.append(task)
        self._dispatch()

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what has happened, waiting up to `timeout` seconds for the first event.

        Ends at once when no task is under way, since nothing can happen then.
        """
        until = time.monotonic() + timeout
        self._pump(0.0)
        while not self._events and self._running and (left := until - time.monotonic()) > 0:
            self._pump(left)
        while self._events:
            yield self._events.popleft()

    def cancel(self, key: str) -> None:
        """Stop a task; no further event of it arrives. Unknown keys are ignored."""
        import ray

        self._queue = deque(task for task in self._queue if task.key != key)
        for stream in [stream for stream, name in self._running.items() if name == key]:
            ray.cancel(stream, force=True)
            del self._running[stream]
        self._events = deque(event for event in self._events if event.key != key)
        self._dispatch()

    def close(self) -> None:
        """Stop everything; queued tasks are dropped."""
        import ray

        self._closed = True
        self._queue.clear()
        for key in list(self._running.values()):
            self.cancel(key)
        self._events.clear()
        self._stored.clear()
        if self._owner and ray.is_initialized():
            ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _room(self) -> int:
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        return sum(int(resources.get("CPU", 0)) // self._threads for resources in nodes)

    def _dispatch(self) -> None:
        if not self._queue:
            return
        slots = self.slots
        while self._queue and len(self._running) < slots:
            task = self._queue.popleft()
            files = {name: self._store(path) for name, path in task.files.items()}
            stream = self._stream.options(**_reserved(task)).remote(
                task.function, task.payload, files, self._allowed
            )
            self._running[stream] = task.key

    def _pump(self, timeout: float) -> None:
        """Wait for one stream to have something, then take one item from every stream that does."""
        import ray

        if self._running:
            streams = list(self._running)
            ready, _ = ray.wait(streams, num_returns=1, timeout=timeout)
            if ready:
                ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
            for stream in ready:
                self._take(stream)
        self._dispatch()

    def _take(self, stream: Any) -> None:
        kind, data = _next_message(stream)
        self._events.append(Event(key=self._running[stream], kind=kind, data=data))
        if kind in ("done", "failed", "lost"):
            del self._running[stream]

    def _store(self, path: Path) -> StoredFile:
        """Put a file's content into the object store unless the same content is there."""
        try:
            status = path.stat()
            seen = (str(path.absolute()), status.st_size, status.st_mtime_ns)
            if seen not in self._digests:
                self._digests[seen] = digest_file(path)
            digest = self._digests[seen]
            if digest not in self._stored:
                chunks = _put_chunks(path, status.st_size)
                self._stored[digest] = StoredFile(
                    digest=digest, suffix=path.suffix, size=status.st_size, chunks=chunks
                )
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}", hint="Check the path.") from error
        return self._stored[digest]


def _connect(address: str | None, cores: int | None) -> bool:
    """Connect to a cluster or start one here; False when this process was connected already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study tells nobody that it runs
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    where = address or os.environ.get("RAY_ADDRESS")
    if where in (None, "local"):
        options |= {"num_cpus": cores, "include_dashboard": False}
    else:
        _knock(str(where))
    _keep_ray_off_stdout()
    try:
        ray.init(address=where, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if where in (None, "local"):
            raise RunError(
                f"Ray did not start here: {one_line(error)}", hint="Try --executor local."
            ) from error
        raise InputError(f"no Ray cluster at {where}: {one_line(error)}", hint=_WHERE) from error
    return True


def _knock(address: str) -> None:
    """See whether anything listens at the address: Ray itself would try for minutes and then exit."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if "/" in address or not (host and colon and port.isdigit()):
        raise InputError(f"{address!r} is not the address of a Ray cluster", hint=_WHERE)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"nothing answers at {address}: {error}", hint=_WHERE) from error


def _keep_ray_off_stdout() -> None:
    """Send what Ray would print about dying nodes to the log: our standard output is for results.

    Ray has no option for this; where its printing has moved, it stays as Ray has it.
    """
    from ray._private import worker

    log = logging.getLogger(__name__)
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda data, **_: log.info("%s", data.get("lines"))


def _put_chunks(path: Path, size: int) -> tuple[Any, ...]:
    import numpy as np
    import ray

    starts = range(0, size, _CHUNK)
    return tuple(ray.put(np.fromfile(path, np.uint8, _CHUNK, offset=start)) for start in starts)


def _remote_stream(threads: int) -> Any:
    import ray

    # Ray gives the numerical libraries of a task as many threads as the task has cores.
    return ray.remote(num_cpus=threads, max_retries=0, num_returns="streaming")(_run)


def _reserved(task: Task) -> dict[str, float]:
    """Return what Ray sets aside for a task beside its cores, in Ray's words."""
    words = {"gpus": "num_gpus", "memory_bytes": "memory"}
    return {words[name]: amount for name, amount in task.needs.items()}


def _run(
    function: str, payload: JSON, files: Mapping[str, StoredFile], allowed: Sequence[str]
) -> Iterator[Message]:
    """Run a task on a node.  The function calls `emit` and Ray wants a generator, so it gets a thread."""
    local = {name: str(_fetch(stored)) for name, stored in files.items()}
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def work() -> None:
        call(function, payload | local, allowed=allowed, send=lambda kind, data: messages.put((kind, data)))

    threading.Thread(target=work, name="task", daemon=True).start()
    while True:
        message = messages.get()
        yield message
        if message[0] in ("done", "failed"):
            return


def _fetch(stored: StoredFile) -> Path:
    import ray

    chunks = (memoryview(ray.get(chunk)) for chunk in stored.chunks)
    return keep_file(cache_folder(), stored.digest, stored.suffix, stored.size, chunks)


def _next_message(stream: Any) -> tuple[Any, JSON]:
    """Return the kind and data of a stream's next event; how Ray reports a death becomes `lost`."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        message: Message = ray.get(next(stream))
    except StopIteration:
        return "lost", {"cause": "the task ended without a result"}
    except RayTaskError as error:
        cause = error.cause
        died = isinstance(cause, RayError)
        return ("lost" if died else "failed"), {"cause": one_line(cause)}
    except RayError as error:
        first = str(error).strip().split("\n", 1)[0]
        return "lost", {"cause": f"{type(error).__name__}: {first}"[:LONGEST_CAUSE]}
    return message
