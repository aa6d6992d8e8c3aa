"""The warm parent of forked cells, and what happens inside one.

`python -m scalescope.inference.nursery_process FD DRIVER MODULE...` imports the modules and then serves the
process DRIVER over the socket FD. A command is one byte: `F` forks a child, `S` starts a fresh interpreter
instead, `K` kills the child under way; with `F` and `S` come two descriptors, the child's own socket to the
driver and what it prints to. The parent never sees payloads or results and runs no tensor operation, so all
children start from the same memory, and it has one thread: a pool of threads does not survive a fork. The end
of the stream means that the driver is gone; then the child, all that it started, and the parent end.

The child reads one JSON line from its socket (function, payload, limits), answers with JSON lines and leaves.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from scalescope.executors.calls import check_function
from scalescope.executors.protocol import JSON
from scalescope.inference import limits
from scalescope.inference.outcomes import describe

FORK, SPAWN, KILL = b"F", b"S", b"K"
CELL = "--cell"
"""First argument of a fresh interpreter; then the descriptor of its socket."""

_SIGNAL_OF_PARENTS_DEATH = 1
_ADOPT_ORPHANS = 36
_TICK_MS = 10


def main(arguments: Sequence[str]) -> None:
    """Be a warm parent, or one fresh cell."""
    if arguments[0] == CELL:
        run_cell(socket.socket(fileno=int(arguments[1])))
    descriptor, driver, *modules = arguments
    _process_control(_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)
    if os.getppid() != int(driver):
        os._exit(1)
    channel = socket.socket(fileno=int(descriptor))
    channel.set_inheritable(False)
    _tell(channel, _import_all(modules))
    # From here on the end of the stream is enough; the thread of the driver that started us may end.
    _process_control(_SIGNAL_OF_PARENTS_DEATH, 0)
    _process_control(_ADOPT_ORPHANS, 1)
    while True:
        _serve(channel)


def _import_all(modules: Sequence[str]) -> JSON:
    """Import and say what it cost; garbage collection is off for it, as nothing of it is garbage."""
    started, cpu = time.perf_counter(), time.process_time()
    gc.disable()
    failed = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            failed[module] = f"{type(error).__name__}: {error}"
    gc.freeze()  # or the first collection in a child writes to, and so copies, every page
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "failed": failed,
        "threads": limits.count_threads(),
    }


def _serve(channel: socket.socket) -> None:
    """Start one child, wait for its end, and say how it was."""
    command, descriptors, _, _ = socket.recv_fds(channel, 1, 2)
    if command not in (FORK, SPAWN):  # the driver is gone; a late `K` has nothing left to kill
        if not command:
            os._exit(0)
        return
    try:
        pid = _start(command, channel, *descriptors)
    except OSError as error:
        _tell(channel, {"refused": f"the system cannot start another process: {error.strerror}"})
        return
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if not pid:
        _tell(channel, {"threads": limits.count_threads()})
        return
    _tell(channel, {"pid": pid})
    _tell(channel, _wait(pid, channel))


def _start(command: bytes, channel: socket.socket, theirs: int, output: int) -> int:
    """Return the child's process; 0 where this process must not fork, having threads."""
    if command == SPAWN:
        os.set_inheritable(theirs, True)
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-u", "-m", "scalescope.inference.nursery_process", CELL, str(theirs)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)],
        )
    if limits.count_threads() != 1:
        return 0
    pid = os.fork()
    if pid == 0:
        channel.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        run_cell(socket.socket(fileno=theirs))
    return pid


def _wait(pid: int, channel: socket.socket) -> JSON:
    """Wait for the child while obeying the driver, end what it left behind, and return its status."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    watched = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    if watched is not None:
        poll.register(watched, select.POLLIN)
    gone = False
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        ready = {descriptor for descriptor, _ in poll.poll(None if watched is not None else _TICK_MS)}
        if channel.fileno() in ready:
            gone = not channel.recv(1)
            _kill(pid)
    _kill(pid)  # still a zombie, so its number is nobody else's: this reaches the rest of its group
    _, status, usage = os.wait4(pid, 0)
    _end_orphans()
    if watched is not None:
        os.close(watched)
    if gone:
        os._exit(0)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"status": status, "cpu_s": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * unit}


def _kill(pid: int) -> None:
    """Kill a child and its group, also before it leads one."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _end_orphans() -> None:
    """Kill what left the child's group; such processes became children of this one."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):
        while True:
            children = [int(word) for word in listing.read_text().split()]
            if not children:
                return
            for child in children:
                _kill(child)
                os.waitpid(child, 0)


def run_cell(channel: socket.socket) -> NoReturn:
    """Read the request, call its function, tell what became of it, and leave without any clean-up."""
    with contextlib.suppress(OSError):
        os.setsid()
    channel.set_inheritable(False)  # what the function starts must not keep the stream open
    _process_control(_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)
    code = 1
    try:
        with channel.makefile("rb") as lines:
            line = lines.readline()
        if line:  # else the driver died in between
            _answer(channel, json.loads(line))
            code = 0
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def _answer(channel: socket.socket, request: JSON) -> None:
    _settle(request)
    limits.reset_peak()
    start = limits.Resident.of()

    def send(kind: str, data: JSON) -> None:
        now = limits.Resident.of()
        _tell(channel, {"kind": kind, "data": data, "peak": now.peak if now else None})

    send("started", {"resident": start.resident if start else None})
    limit = request["memory_bytes"]
    if limit is not None:
        limits.limit_growth(limit, threads=request["threads"])
    try:
        function = _resolve(request["function"], request["allowed"])
        result = function(request["payload"], lambda message: send("message", _plain(message)))
        plain = _plain({} if result is None else result)
    except BaseException as error:  # SystemExit too: a cell must not end unheard
        limits.lift_growth()
        send("raised", describe(error))
    else:
        limits.lift_growth()
        send("done", plain)


def _settle(request: JSON) -> None:
    """Make the fork a process of its own: threads, seeds, crash report, garbage collection."""
    import faulthandler
    import random

    faulthandler.enable()
    limits.forbid_core()
    gc.enable()
    seed = request["seed"]
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(request["threads"])
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` takes 5 ms for devices not in use


def _resolve(function: str, allowed: Sequence[str]) -> Callable[[JSON, Callable[[JSON], None]], Any]:
    check_function(function, allowed)
    module, _, name = function.partition(":")
    found: Callable[[JSON, Callable[[JSON], None]], Any] = getattr(importlib.import_module(module), name)
    return found


def _plain(value: Any) -> JSON:
    if not isinstance(value, dict):
        raise TypeError(f"a cell sends JSON objects, not {type(value).__name__}")
    plain: JSON = json.loads(json.dumps(value))
    return plain


def _tell(channel: socket.socket, data: JSON) -> None:
    """Write one line; without a driver there is nobody left to work for."""
    try:
        channel.sendall(json.dumps(data).encode() + b"\n")
    except OSError:
        os._exit(1)


def _process_control(option: int, value: int) -> None:
    """Set what only Linux has; elsewhere the end of the stream has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
