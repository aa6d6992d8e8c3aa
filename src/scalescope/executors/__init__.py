"""Running work on this machine or on a Ray cluster."""

from __future__ import annotations

import os
from typing import Literal

from scalescope.errors import InputError, nearest
from scalescope.executors.local import LocalExecutor
from scalescope.executors.protocol import JSON, Event, Executor, Task

__all__ = ["ENGINES", "JSON", "Event", "Executor", "LocalExecutor", "Task", "cores", "open_executor"]

ENGINES = ("local", "ray")
"""The names that `open_executor` knows."""


def open_executor(
    name: Literal["local", "ray"],
    *,
    slots: int | None = None,
    threads: int = 1,
    address: str | None = None,
) -> Executor:
    """Open an engine by name; the caller closes it.

    Parameters
    ----------
    name
        `local` for this machine, `ray` for a Ray cluster.
    slots
        How many tasks run at once. By default one for each `threads` cores, of this machine or of all the
        cluster.
    threads
        Threads, and so cores, that each task uses.
    address
        Of the cluster's head node, `host:port`. Without one, Ray starts on this machine alone.

    Raises
    ------
    InputError
        If the name is unknown, a number is below one, or no cluster answers at the address.
    """
    if name == "ray":
        from scalescope.executors.ray import RayExecutor

        return RayExecutor(address, slots, threads)
    if name != "local":
        raise InputError(f"no engine is called {name!r}", hint=nearest(name, ENGINES))
    if address is not None:
        raise InputError("an address needs the engine ray", hint="Add --executor ray or leave --address out.")
    if slots is None:
        slots = max(1, cores() // max(1, threads))
    return LocalExecutor(slots, threads)


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
