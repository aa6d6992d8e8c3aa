"""Tasks on a Ray cluster: each a streaming generator, so that messages arrive while it runs.

Ray never repeats a task by itself here: a task whose worker or node died is reported as lost, and the driver
decides. Files cross the network once for each content and are kept on the nodes under their digest.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scalescope.errors import InputError, RunError
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
from scalescope.executors.gangs import GRACE_SECONDS, Gang, check_processes, free_port, with_rank
from scalescope.executors.protocol import JSON, Event, Task
from scalescope.executors.ray_connection import connect

_CHUNK = 64 << 20

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
        self._gangs: dict[str, Gang] = {}
        """Of every task under way."""
        self._running: dict[Any, tuple[str, int]] = {}
        """Key and rank of every process."""
        self._gathering: dict[Any, tuple[Task, Any]] = {}
        """What tells where rank 0 listens, and the placement group that it waits for, of gangs to come."""
        self._groups: dict[str, Any] = {}
        self._stored: dict[str, StoredFile] = {}
        self._digests: dict[tuple[str, int, int], str] = {}
        self._closed = False
        self._owner = connect(address, None if slots is None else slots * threads)
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
            If its key is under way, its function is not allowed, its payload is not JSON, a file of it
            cannot be read, or it needs more processes than the cluster has room for.
        RunError
            If the executor is closed.
        """
        if self._closed:
            raise RunError("the executor is closed", hint="Open another one.")
        if task.key in {queued.key for queued in self._queue} | self._gangs.keys():
            raise InputError(f"a task called {task.key!r} is under way")
        check_function(task.function, self._allowed)
        check_payload(task)
        check_processes(task, self.slots)
        self._queue.append(task)
        self._dispatch()

    def events(self, timeout: float) -> Iterator[Event]:
        """Yield what has happened, waiting up to `timeout` seconds for the first event.

        Ends at once when no task is under way, since nothing can happen then.
        """
        until = time.monotonic() + timeout
        self._pump(0.0)
        while not self._events and self._gangs and (left := until - time.monotonic()) > 0:
            self._pump(left)
        while self._events:
            yield self._events.popleft()

    def cancel(self, key: str) -> None:
        """Stop a task; no further event of it arrives. Unknown keys are ignored."""
        self._queue = deque(task for task in self._queue if task.key != key)
        self._end(key)
        self._events = deque(event for event in self._events if event.key != key)
        self._dispatch()

    def close(self) -> None:
        """Stop everything; queued tasks are dropped."""
        import ray

        self._closed = True
        self._queue.clear()
        for key in list(self._gangs):
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
        while self._queue and self._busy() + self._queue[0].processes <= max(
            self.slots, self._queue[0].processes
        ):
            task = self._queue.popleft()
            self._gangs[task.key] = Gang(task.key, task.processes)
            if task.processes == 1:
                self._start(task, 0, "")
            else:
                self._gather(task)

    def _busy(self) -> int:
        """Slots that are taken."""
        return sum(gang.size for gang in self._gangs.values())

    def _gather(self, task: Task) -> None:
        """Ask for the slots of a gang at once, and then for where its rank 0 will listen."""
        import ray
        from ray.util.placement_group import placement_group

        one = {"CPU": float(self._threads), **_resources(task)}
        group = placement_group([one] * task.processes, strategy="PACK")
        where = ray.remote(num_cpus=0, max_retries=0)(_meeting)
        self._groups[task.key] = group
        self._gathering[where.options(scheduling_strategy=_place(group, 0)).remote()] = (task, group)

    def _start(self, task: Task, rank: int, meeting: str, group: Any = None) -> None:
        files = {name: self._store(path) for name, path in task.files.items()}
        placed = {} if group is None else {"scheduling_strategy": _place(group, rank)}
        payload = with_rank(task.payload, rank, task.processes, meeting)
        stream = self._stream.options(**_reserved(task), **placed).remote(
            task.function, payload, files, self._allowed
        )
        self._running[stream] = (task.key, rank)

    def _pump(self, timeout: float) -> None:
        """Wait for one stream to have something, then take one item from every stream that does."""
        import ray

        waiting = [*self._running, *self._gathering]
        if any(gang.causes for gang in self._gangs.values()):
            timeout = min(timeout, GRACE_SECONDS / 4)
        if waiting:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout)
            if ready:
                ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
            for one in ready:
                if one in self._gathering:
                    self._begin(one)
                elif one in self._running:  # not ended meanwhile with the others of its gang
                    self._take(one)
        for failed in [event for gang in self._gangs.values() if (event := gang.overdue())]:
            self._events.append(failed)
            self._end(failed.key)
        self._dispatch()

    def _begin(self, where: Any) -> None:
        """Start the processes of a gang whose slots are there."""
        import ray
        from ray.exceptions import RayError

        task, group = self._gathering.pop(where)
        try:
            meeting = ray.get(where)
        except RayError as error:
            self._events.append(self._gangs[task.key].lose(0, one_line(error)))
            self._end(task.key)
            return
        for rank in range(task.processes):
            self._start(task, rank, meeting, group)

    def _take(self, stream: Any) -> None:
        kind, data = _next_message(stream)
        key, rank = self._running[stream]
        gang = self._gangs[key]
        event = gang.lose(rank, data["cause"]) if kind == "lost" else gang.hear(rank, kind, data)
        if kind in ("done", "failed", "lost"):
            del self._running[stream]
        if event:
            self._events.append(event)
            if event.kind in ("done", "failed", "lost"):
                self._end(key)

    def _end(self, key: str) -> None:
        """End what is left of a task, and give its placement group back."""
        import ray

        self._gangs.pop(key, None)
        for stream in [stream for stream, (name, _) in self._running.items() if name == key]:
            ray.cancel(stream, force=True)
            del self._running[stream]
        for where in [where for where, (task, _) in self._gathering.items() if task.key == key]:
            ray.cancel(where, force=True)
            del self._gathering[where]
        if key in self._groups:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._groups.pop(key))

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
    """Return what Ray sets aside for a process beside its cores, in the words of a task."""
    words = {"gpus": "num_gpus", "memory_bytes": "memory"}
    return {words[name]: amount for name, amount in task.needs.items()}


def _resources(task: Task) -> dict[str, float]:
    """Return the same in the words of a placement group."""
    words = {"gpus": "GPU", "memory_bytes": "memory"}
    return {words[name]: amount for name, amount in task.needs.items()}


def _place(group: Any, rank: int) -> Any:
    """Return the place of a rank in a placement group."""
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    return PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=rank)


def _meeting() -> str:
    """Return an address of this node and a port that is free there.  Runs where rank 0 will run."""
    import ray

    host = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    return f"{host}:{free_port(host)}"


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
