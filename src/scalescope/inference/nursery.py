"""Calls in processes of their own, forked in milliseconds from a parent that has imported the libraries once.

Whatever happens to such a process, `Nursery.run` returns an `Outcome`; nothing that it did to itself is left
for the next one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from scalescope.errors import InputError, MissingExtraError, RunError
from scalescope.executors.calls import ALLOWED, check_function
from scalescope.executors.protocol import JSON
from scalescope.inference.cell_watch import CellWatch, signal_name
from scalescope.inference.nursery_process import FORK, KILL, SPAWN
from scalescope.inference.outcomes import Outcome
from scalescope.inference.requests import Limits
from scalescope.points import Finding

LIBRARIES: tuple[str, ...] = (
    "torch",
    "transformers",
    "transformers.modeling_utils",
    "transformers.modeling_layers",
    "transformers.masking_utils",
    "transformers.models.auto.modeling_auto",
    "safetensors.torch",
)
"""All that models of every type need beside their own modules; `torch` and `transformers` alone leave seconds
of imports to every cell."""

SECONDS_TO_ANSWER = 10.0
"""A parent that takes longer over anything but its imports is ended."""

_SECONDS_TO_IMPORT = 300.0


class Nursery:
    """Runs calls one at a time, each in a process forked from a warm parent.

    Parameters
    ----------
    preload
        Modules that the parent imports; one that cannot be imported is a finding, and the first call that
        needs it says why. None at all makes a parent that costs nothing, for calls that are all spawned.
    threads
        Threads of numerical libraries inside a call.
    allowed
        Prefixes of the functions that may be called.

    Raises
    ------
    MissingExtraError
        If the library of a module to preload is not installed.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = LIBRARIES,
        threads: int,
        allowed: Sequence[str] = ALLOWED,
    ) -> None:
        for library in {module.partition(".")[0] for module in preload}:
            if importlib.util.find_spec(library) is None:
                raise MissingExtraError(library, "bench")
        self._preload = tuple(preload)
        self._threads = threads
        self._allowed = tuple(allowed)
        self._parent: WarmParent | None = None
        self.findings: tuple[Finding, ...] = ()
        """What went otherwise than asked for; each once."""
        self.imports: JSON = {}
        """What the parent's imports cost: `wall_s`, `cpu_s`; empty until the first call."""

    def __enter__(self) -> Self:
        self._parent = WarmParent(self._preload, self._threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def pid(self) -> int | None:
        """Process of the parent; None before it is started."""
        return self._parent.pid if self._parent else None

    @property
    def import_s(self) -> float | None:
        """Seconds that the imports of the parent took; None before the first call."""
        return self.imports.get("wall_s")

    def warm_up(self) -> None:
        """Wait until the parent has imported everything; `run` does so by itself.

        Raises
        ------
        RunError
            If no parent can be started.
        """
        if self._parent is None or self._parent.ended:
            self.close()
            self._parent = WarmParent(self._preload, self._threads)
        if not self._parent.ready:
            self.imports = self._parent.wait_until_ready()
            for module, cause in self.imports["failed"].items():
                self._find(
                    "BEN021",
                    f"{module} could not be imported beforehand: {cause}",
                    "Cells that need it fail, or import it again and again.",
                )

    def run(
        self,
        function: str,
        payload: JSON,
        limits: Limits,
        *,
        spawn: bool = False,
        seed: int = 0,
        tell: Callable[[JSON], None] | None = None,
    ) -> Outcome:
        """Call `function(payload, emit)` in a process of its own and say what became of it.

        Parameters
        ----------
        function
            `package.module:function`, under an allowed prefix; what it returns and emits are JSON objects.
        payload
            What it is given.
        limits
            Past them it is ended.
        spawn
            Start a fresh interpreter instead of forking: needed where a GPU is in use.
        seed
            Of the generators of Python, numpy and torch.
        tell
            Called with every message as it comes.

        Raises
        ------
        InputError
            If the function may not be called or the payload is not JSON.
        RunError
            If no process can be started at all.
        """
        check_function(function, self._allowed)
        request = {
            "function": function,
            "payload": payload,
            "allowed": self._allowed,
            "threads": self._threads,
            "memory_bytes": limits.memory_bytes,
            "seed": seed,
        }
        try:
            json.dumps(request)
        except (TypeError, ValueError) as error:
            raise InputError(f"the payload for {function} is not JSON: {error}") from None
        self.warm_up()
        assert self._parent is not None
        try:
            return self._attend(self._parent, request, limits, spawn, tell)
        except BaseException:  # Ctrl-C too: what runs must not outlive the call
            self.close()
            raise

    def close(self) -> None:
        """End the parent and whatever runs in it; the next call starts another."""
        if self._parent:
            self._parent.stop()
            self._parent = None

    def _attend(
        self,
        parent: WarmParent,
        request: JSON,
        limits: Limits,
        spawn: bool,
        tell: Callable[[JSON], None] | None,
    ) -> Outcome:
        with CellWatch(limits, tell) as cell:
            child = parent.start(FORK if not spawn else SPAWN, cell)
            if "threads" in child:
                self._find(
                    "BEN020",
                    f"Cells are started afresh, not forked: the warm parent has {child['threads']} threads.",
                    "Each then imports the libraries anew; see which preloaded module starts threads.",
                )
                spawn = True
                child = parent.start(SPAWN, cell)
            if "refused" in child:
                raise RunError(f"cannot start a cell: {child['refused']}", hint="End other processes first.")
            if "pid" in child:
                cell.begin(child["pid"], request)
            end = child if "lost" in child else None
            until = math.inf
            while end is None:
                if cell.wait(parent.channel):
                    end = parent.listen()
                elif time.monotonic() > until:
                    end = parent.give_up()
                elif cell.exceeded():
                    parent.kill_child()
                    until = time.monotonic() + SECONDS_TO_ANSWER
            if "lost" in end and "pid" in child:
                _end_group(child["pid"])
            return cell.conclude(end, forked=not spawn)

    def _find(self, code: str, text: str, hint: str) -> None:
        finding = Finding(code=code, text=text, hint=hint)
        if finding not in self.findings:
            self.findings += (finding,)


class WarmParent:
    """The process that forks, as the driver sees it.

    Raises
    ------
    RunError
        If the system cannot start it.
    """

    def __init__(self, preload: Sequence[str], threads: int) -> None:
        self.channel, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        with theirs:
            try:
                self._process = _start(theirs.fileno(), preload, threads, self._said.fileno())
            except OSError as error:
                self.channel.close()
                self._said.close()
                raise RunError(
                    f"cannot start a process: {error.strerror}", hint="End other processes first."
                ) from error
        self._preload = tuple(preload)
        self._buffer = b""
        self.ready = False
        self.lost = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is dead."""
        return self.lost or self._process.poll() is not None

    def wait_until_ready(self) -> JSON:
        """Return what its imports cost.

        Raises
        ------
        RunError
            If it died of them.
        """
        answer = self._read_line(_SECONDS_TO_IMPORT)
        if "lost" in answer:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            raise RunError(
                f"{answer['lost']} while it imported {', '.join(self._preload) or 'nothing'}"
                + (f"; it said last: {lines[-1]}" if lines else ""),
                hint="See whether `python -c 'import torch, transformers'` works here.",
            )
        self.ready = True
        return answer

    def start(self, command: bytes, cell: CellWatch) -> JSON:
        """Ask for a child with these ends of the cell: `pid`, or why not."""
        try:
            socket.send_fds(self.channel, [command], [cell.theirs.fileno(), cell.printing])
        except OSError:
            return self.give_up()
        return self._read_line(SECONDS_TO_ANSWER)

    def kill_child(self) -> None:
        """Ask for the end of the child under way."""
        with contextlib.suppress(OSError):
            self.channel.send(KILL)

    def listen(self) -> JSON | None:
        """Take what it says; None while it is not a whole line."""
        try:
            chunk = self.channel.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            return self.give_up()
        self._buffer += chunk
        return self._take()

    def stop(self) -> None:
        """End it, which ends its child too."""
        self.channel.close()
        try:
            self._process.wait(SECONDS_TO_ANSWER if self.ready else 0.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _read_line(self, seconds: float) -> JSON:
        self.channel.settimeout(seconds)
        answer = self._take()
        while answer is None:
            answer = self.listen()
        return answer

    def _take(self) -> JSON | None:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        self._buffer = rest
        answer: JSON = json.loads(line)
        return answer

    def give_up(self) -> JSON:
        """Say how it died; one that has only stopped to answer is ended."""
        self.lost = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._process.kill()
        code = self._process.wait()
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return {"lost": f"the warm parent {how}"}


def _start(descriptor: int, preload: Sequence[str], threads: int, said: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",  # its threads start with the import of numpy and would forbid a fork
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # what is imported here
    }
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-u", "-m", "scalescope.inference.nursery_process"),
            *(str(descriptor), str(os.getpid()), *preload),
        ],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        env=environment,
        pass_fds=(descriptor,),
        start_new_session=True,
    )


def _end_group(pid: int) -> None:
    """End what is left of a child whose parent is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 9)
