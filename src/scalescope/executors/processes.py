"""One worker process as the driver sees it: start, talk without blocking, end, and say how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence

from scalescope.errors import RunError
from scalescope.executors.protocol import JSON

_CHUNK = 1 << 18
_TAIL_BYTES = 4096
_TAIL_LINES = 4
_SECONDS_TO_EXIT = 2.0
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class WorkerProcess:
    """A running worker, the socket to it and the end of what it printed.

    The worker leads a session of its own: Ctrl-C in the terminal does not reach it, and ending its group
    ends whatever its task started.

    Parameters
    ----------
    threads
        Threads of numerical libraries inside the worker.
    allowed
        Prefixes of the functions that it may call.

    Raises
    ------
    RunError
        If the system cannot start another process.
    """

    def __init__(self, threads: int, allowed: Sequence[str]) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        with theirs:
            try:
                self._process = _start(theirs.fileno(), threads, allowed)
            except OSError as error:
                self.channel.close()
                raise RunError(
                    f"cannot start a worker: {error.strerror}", hint="Use fewer trials side by side."
                ) from error
        assert self._process.stderr is not None
        self.output = self._process.stderr
        os.set_blocking(self.output.fileno(), False)
        self.key: str | None = None
        """The task that it runs."""
        self.rank = 0
        """Its place among the processes of that task."""
        self._outgoing: deque[memoryview] = deque()
        self._incoming = bytearray()
        self._searched = 0
        self._tail = b""
        self._ended = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is dead, or as good as dead since its socket is closed."""
        return self._ended or self._process.poll() is not None

    @property
    def behind(self) -> bool:
        """Whether part of a command still waits to be written."""
        return bool(self._outgoing)

    def begin(self, key: str, command: bytes, *, rank: int = 0) -> None:
        """Take a task: queue its line and write what the socket takes; `flush` writes the rest."""
        self.key, self.rank = key, rank
        self._tail = b""
        self._outgoing.append(memoryview(command))
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes now."""
        try:
            while self._outgoing:
                sent = self.channel.send(self._outgoing[0])
                rest = self._outgoing.popleft()[sent:]
                if rest:
                    self._outgoing.appendleft(rest)
        except BlockingIOError:
            return
        except OSError:
            self._ended = True

    def receive(self) -> list[JSON]:
        """Return the events that one read brings; an unfinished line waits for the next."""
        self._read()
        return self._take()

    def drain(self) -> list[JSON]:
        """Return all events that a dead worker left behind."""
        while self._read():
            pass
        return self._take()

    def read_output(self) -> bool:
        """Keep the end of what the worker printed; False once it can print no more."""
        while chunk := self.output.read(_CHUNK):
            self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        return chunk is None

    def stop(self) -> None:
        """End the worker with everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self.channel.close()
        self.output.close()

    def ending(self) -> str:
        """Say in one line how a dead worker ended and what it said last."""
        self.read_output()
        try:
            code = self._process.wait(_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            how = "closed its connection"
        else:
            how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        said = _last_lines(self._tail.decode(errors="replace"))
        return f"the worker {how}" + (f"; it said last: {said}" if said else "")

    def _read(self) -> bool:
        try:
            chunk = self.channel.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        self._ended |= not chunk
        self._incoming += chunk
        return bool(chunk)

    def _take(self) -> list[JSON]:
        """Take the complete lines; what was searched for a line's end is not searched again."""
        end = self._incoming.rfind(b"\n", self._searched)
        self._searched = len(self._incoming) - (end + 1)
        if end < 0:
            return []
        lines = bytes(self._incoming[:end]).split(b"\n")
        del self._incoming[: end + 1]
        return [json.loads(line) for line in lines]


def _start(descriptor: int, threads: int, allowed: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads))
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # what is imported here
    return subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "scalescope.executors.worker", str(descriptor), *allowed],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment,
        pass_fds=(descriptor,),
        start_new_session=True,
    )


def _last_lines(text: str) -> str:
    """Join the last lines, or the first ones of the interpreter's own report of a crash."""
    _, crash, report = text.rpartition("Fatal Python error")
    lines = (
        (crash + report).splitlines()[:_TAIL_LINES] if crash else report.rstrip().splitlines()[-_TAIL_LINES:]
    )
    return " | ".join(" ".join(line.split()) for line in lines if line.strip())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
