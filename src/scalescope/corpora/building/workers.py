"""A function over many items in several processes, results in order, few items in flight."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from scalescope.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")

_FEW = 8
"""Items for which starting processes does not pay."""


def default_workers() -> int:
    """Return how many processes there are cores for, eight at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], n_workers: int
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, in the order of the items, whatever the number of processes.

    Parameters
    ----------
    function
        Defined at the top of a module, or a `partial` of such a one; it and its results are sent over.
    items
        Read no further ahead than two for each process.
    n_workers
        1 for this process alone.

    Raises
    ------
    RunError
        If a process dies, as when the machine runs out of memory.
    """
    ahead = iter(items)
    first = list(islice(ahead, _FEW if n_workers > 1 else 0))
    if n_workers <= 1 or len(first) < _FEW:
        yield from ((item, function(item)) for item in chain(first, ahead))
        return
    # Started afresh, not forked: libraries may hold threads and locks here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
        try:
            yield from _windowed(lambda item: pool.submit(function, item), chain(first, ahead), 2 * n_workers)
        except BrokenProcessPool:
            raise RunError(
                "a process that examines documents died; the machine may be out of memory",
                hint="Build again with fewer workers, such as --workers 1.",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _windowed(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], most: int
) -> Iterator[tuple[Item, Result]]:
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, submit(item)))
        if len(waiting) >= most:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()
