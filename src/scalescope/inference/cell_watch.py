"""The driver's side of one cell under way: its messages, what it prints, its limits, its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from scalescope.executors.protocol import JSON
from scalescope.inference import cgroups
from scalescope.inference.limits import LONGEST_LOOK, Resident, Watch, count_machine_kills, kernel_killed
from scalescope.inference.outcomes import Ending, Outcome, digest_of
from scalescope.inference.requests import Limits
from scalescope.units import format_bytes

MESSAGES_KEPT = 20
REFUSED = re.compile(
    r"can't allocate memory|bad_alloc|Cannot allocate memory|Unable to allocate|out of memory"
)
"""How allocators say that they have no memory left; `out of memory` is CUDA's."""

_CHUNK = 1 << 18
_TAIL = 16384
_LONGEST_LINE = 1 << 26
_SECONDS_TO_TAKE_A_REQUEST = 30.0
_CRASH = "Fatal Python error"


class Mail:
    """JSON lines from a cell; what is no line of ours is counted and dropped."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = bytearray()
        self._searched = 0
        self.foreign = 0
        self.open = True

    def read(self) -> list[JSON]:
        """Return the messages that have come."""
        while self.open:
            try:
                chunk = self._channel.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            self.open = bool(chunk)
            self._buffer += chunk
        end = self._buffer.rfind(b"\n", self._searched)
        lines = bytes(self._buffer[: end + 1]).splitlines()
        del self._buffer[: end + 1]
        self._searched = len(self._buffer)
        if self._searched > _LONGEST_LINE:
            self._buffer.clear()
            self._searched = 0
            self.foreign += 1
        return [message for line in lines if (message := self._parse(line))]

    def _parse(self, line: bytes) -> JSON | None:
        try:
            message = json.loads(line)
            if isinstance(message["kind"], str) and isinstance(message["data"], dict):
                return dict(message)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        self.foreign += 1
        return None


class CellWatch:
    """Everything that the driver holds of one cell.

    Parameters
    ----------
    limits
        Of the cell.
    tell
        Called with every message of the cell.
    """

    def __init__(self, limits: Limits, tell: Callable[[JSON], None] | None) -> None:
        self._limits = limits
        self._tell = tell
        self._begun = time.monotonic()
        self._free = cgroups.free_bytes()
        self._kills = (cgroups.count_own_kills(), count_machine_kills())
        self._channel, self.theirs = socket.socketpair()
        self._output, self.printing = os.pipe()
        self._channel.setblocking(False)
        os.set_blocking(self._output, False)
        self._mail = Mail(self._channel)
        self._printed = b""
        self._prints = True
        self._said: deque[JSON] = deque(maxlen=MESSAGES_KEPT)
        self._answer: tuple[Ending, JSON] | None = None
        self._baseline: int | None = None
        self._peak = 0
        self._pid = 0
        self._leaf: cgroups.Leaf | None = None
        self._watch: Watch | None = None
        self._verdict: tuple[Ending, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._close_theirs()
        os.close(self._output)
        if self._leaf:
            self._leaf.remove()

    def begin(self, pid: int, request: JSON) -> None:
        """Give a process its request; from here on its limits hold."""
        self._close_theirs()
        self._pid = pid
        self._watch = Watch(pid, self._limits.memory_bytes)
        self._enclose(pid)
        self._channel.settimeout(_SECONDS_TO_TAKE_A_REQUEST)
        with contextlib.suppress(OSError):  # it is dead already, which its status tells
            self._channel.sendall(json.dumps(request).encode() + b"\n")
        self._channel.setblocking(False)

    def wait(self, other: socket.socket) -> bool:
        """Handle what the cell sends until a limit is due or `other` has something; say if it has."""
        poll = select.poll()
        poll.register(other, select.POLLIN)
        if self._mail.open:
            poll.register(self._channel, select.POLLIN)
        if self._prints:
            poll.register(self._output, select.POLLIN)
        ready = {source for source, _ in poll.poll(1000 * self._patience())}
        if self._channel.fileno() in ready:
            self._take_mail()
        if self._output in ready:
            self._take_output()
        return other.fileno() in ready

    def exceeded(self) -> bool:
        """Tell whether the cell is to be ended now; it is told once."""
        if self._verdict:
            return False
        seconds = self._limits.seconds
        if seconds is not None and time.monotonic() - self._begun >= seconds:
            self._verdict = ("timeout", f"did not end within {seconds:g} s")
        elif self._answer:  # it is on its way out
            return False
        elif self._watch and time.monotonic() >= self._watch.due and (above := self._watch.look()):
            self._verdict = ("memory", above)
        return self._verdict is not None

    def conclude(self, end: JSON, *, forked: bool) -> Outcome:
        """Say how it ended.

        Parameters
        ----------
        end
            What the parent says of it: `status` as `waitpid` gives it, `cpu_s`, `peak`; or `lost`.
        forked
            Whether it was forked: only then is the kernel's own peak that of the cell.
        """
        self._take_mail()
        self._take_output()
        peaks = [self._peak, self._watch.peak if self._watch else 0, end.get("peak", 0) if forked else 0]
        known: dict[str, Any] = {
            "messages": tuple(self._said),
            "output": self._printed.decode(errors="replace"),
            "baseline_bytes": self._baseline,
            "peak_bytes": max(peaks) or None,
            "cpu_s": end.get("cpu_s"),
            "wall_s": time.monotonic() - self._begun,
            "free_bytes_at_start": self._free,
            "limit_bytes": self._limits.memory_bytes,
        }
        if self._answer:
            return self._answered(*self._answer, known)
        if "lost" in end:
            return Outcome(
                kind="signal", signal="SIGKILL", message=end["lost"], evidence=end["lost"], lost=True, **known
            )
        return self._silent(end["status"], known)

    def _answered(self, kind: Ending, data: JSON, known: dict[str, Any]) -> Outcome:
        if kind == "done":
            return Outcome(kind=kind, result=data, evidence=self._note(), **known)
        bases = tuple(data.pop("bases"))
        evidence = self._note()
        if "MemoryError" in (data["exception"], *bases) or REFUSED.search(data["message"]):
            limit = self._limits.memory_bytes
            evidence = "allocator refused" + (
                f"; RLIMIT_DATA held the process to {format_bytes(limit)}" if limit is not None else ""
            )
        return Outcome(kind=kind, bases=bases, evidence=evidence, **data, **known)

    def _silent(self, status: int, known: dict[str, Any]) -> Outcome:
        """Explain an end without an answer."""
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        name = signal_name(number) if number else ""
        how = f"killed by {name}" if name else f"left with exit code {code} and without a result"
        _, crash, report = known["output"].rpartition(_CRASH)
        kind: Ending = "signal" if number else "exit"
        memory = self._memory_evidence(number, known["output"])
        if self._verdict:
            kind, evidence = self._verdict
            how = evidence
        elif memory:
            kind, evidence = "memory", memory
        else:
            evidence = self._other_kills() or self._note()
        return Outcome(
            kind=kind,
            signal=name,
            exit_code=code,
            message=how,
            traceback=crash + report,
            traceback_digest=digest_of(name or str(code), *re.findall(r"in (\w+)$", report, re.MULTILINE)),
            evidence=evidence,
            **known,
        )

    def _memory_evidence(self, number: int, output: str) -> str:
        """Return what proves that memory had run out, if anything does."""
        if number == signal.SIGABRT and (said := REFUSED.search(output)):
            return f"allocator refused: {said[0]}"
        if number != signal.SIGKILL:
            return ""
        if self._leaf and (kills := self._leaf.kills()):
            return f"cgroup: oom_kill {kills} at {format_bytes(self._limits.memory_bytes or 0)}"
        if said_so := kernel_killed(self._pid):
            return said_so
        before, now = self._kills[0], cgroups.count_own_kills()
        if before is not None and now is not None and now > before:
            return f"cgroup: oom_kill +{now - before} in the group of this bench while the cell ran"
        return ""

    def _other_kills(self) -> str:
        """Say that the kernel ended some process meanwhile, which proves nothing of this one."""
        before, now = self._kills[1], count_machine_kills()
        if before is None or now is None or now <= before:
            return ""
        return f"the kernel ended {now - before} for want of memory meanwhile, but not surely this one"

    def _note(self) -> str:
        return f"{self._mail.foreign} lines that are none of ours on its socket" if self._mail.foreign else ""

    def _enclose(self, pid: int) -> None:
        """Put it into a group with a limit where we may; what it was forked with is charged elsewhere."""
        limit, folder = self._limits.memory_bytes, cgroups.delegated_folder()
        now = Resident.of(pid)
        if limit is None or folder is None or now is None:
            return
        with contextlib.suppress(OSError):  # not ours after all: the other two limits hold
            self._leaf = cgroups.Leaf(folder, max(limit - now.resident, 0))
            self._leaf.add(pid)

    def _patience(self) -> float:
        """Seconds until a limit must be looked at."""
        now = time.monotonic()
        dues = [LONGEST_LOOK]
        if not self._verdict:
            if self._limits.seconds is not None:
                dues.append(self._begun + self._limits.seconds - now)
            if self._watch and not self._answer:
                dues.append(self._watch.due - now)
        return max(min(dues), 0.001)

    def _take_mail(self) -> None:
        for message in self._mail.read():
            kind, data = message["kind"], message["data"]
            self._peak = max(self._peak, message.get("peak") or 0)
            if kind == "started":
                self._baseline = data.get("resident")
            elif kind == "message":
                self._said.append(data)
                if self._tell:
                    self._tell(data)
            elif kind in ("done", "raised") and not self._answer:
                self._answer = (kind, data)

    def _take_output(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._output, _CHUNK):
                self._printed = (self._printed + chunk)[-_TAIL:]
            self._prints = False  # nobody has the other end any more

    def _close_theirs(self) -> None:
        self.theirs.close()
        if self.printing >= 0:
            os.close(self.printing)
            self.printing = -1


def signal_name(number: int) -> str:
    """Name a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
