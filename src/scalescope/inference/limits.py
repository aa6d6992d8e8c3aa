"""What a process uses of memory, what may end it for that, and what proves that memory was the reason.

One quantity everywhere: resident bytes, `VmRSS` plus `VmSwap`, of the process alone. It counts weights that
are mapped from a file once they are touched, and its high-water mark is the peak that a cell reports, so a
limit and a peak can be compared. A forked process starts with its parent's anonymous pages in that count.

Three things may enforce a limit. A cgroup leaf, where a folder was delegated to us (`memory.max`; the kernel
kills). `RLIMIT_DATA` for the growth of private writable memory (the allocator is refused, which leaves an
exception to read). And `Watch`, which reads the resident bytes and says when they are above the limit.
`RLIMIT_AS` would refuse weights that are only mapped.

The kernel keeps these counts per processor, so they are exact to a few hundred KiB.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scalescope.units import format_bytes

FASTEST_GROWTH = 8e9
"""Bytes per second that no process exceeds by touching new pages; sets how soon to look again."""

SHORTEST_LOOK = 0.02
LONGEST_LOOK = 0.25
"""Seconds between two looks at a process."""

THREAD_STACK = 16 << 20
"""Bytes of private memory that every thread reserves and hardly touches."""

_FIELDS = re.compile(rb"^(VmHWM|VmRSS|VmData|VmSwap|RssAnon|RssFile|RssShmem):\s+(\d+) kB$", re.MULTILINE)
_CLEAR_PEAK = "5"
_READ_KERNEL_LOG = 3
_KERNEL_LOG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Bytes of one process at one moment, from `/proc/PID/status`."""

    resident: int
    """Pages in memory or swapped out."""
    peak: int
    """High-water mark of the resident bytes since the last reset."""
    anonymous: int
    file: int
    """Mapped files: libraries and weights."""
    data: int
    """Private writable address space, touched or not."""

    @classmethod
    def of(cls, pid: int | str = "self") -> Resident | None:
        """Read it; None where the process is gone or the system has no such file."""
        try:
            text = Path(f"/proc/{pid}/status").read_bytes()
        except OSError:
            return None
        found = {name.decode(): int(value) << 10 for name, value in _FIELDS.findall(text)}
        if "VmRSS" not in found:  # a zombie
            return None
        resident = found["VmRSS"] + found.get("VmSwap", 0)
        return cls(
            resident=resident,
            peak=max(found["VmHWM"], resident),
            anonymous=found["RssAnon"],
            file=found["RssFile"] + found["RssShmem"],
            data=found["VmData"],
        )


def reset_peak() -> bool:
    """Set the high-water mark of this process to what is resident now; False where that is impossible."""
    try:
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
    except OSError:
        return False
    return True


def limit_growth(limit: int, *, threads: int) -> int | None:
    """Let private memory of this process grow to `limit` resident bytes and no further.

    Returns
    -------
    int or None
        The limit on the address space that was set; None where the system has none.
    """
    now = Resident.of()
    if now is None:
        return None
    import resource

    allowed = now.data + max(limit - now.resident, 0) + threads * THREAD_STACK
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    return allowed


def lift_growth() -> None:
    """Take the limit of `limit_growth` away, so that a failure can still be told."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


class Watch:
    """Looks at a process as often as its distance from the limit demands, and keeps the peak.

    Parameters
    ----------
    pid
        Whom to watch.
    limit
        Resident bytes; None to keep the peak only.
    """

    def __init__(self, pid: int, limit: int | None) -> None:
        self.pid = pid
        self.limit = limit
        self.peak = 0
        self.due = 0.0
        """When to look next, on the monotonic clock."""

    def look(self) -> str:
        """Read the process; return the evidence if it is above its limit, else nothing."""
        self.due = time.monotonic() + LONGEST_LOOK
        now = Resident.of(self.pid)
        if now is None:
            return ""
        self.peak = max(self.peak, now.peak)
        if self.limit is None:
            return ""
        if now.resident > self.limit:
            return (
                f"watcher: {format_bytes(now.resident)} resident, "
                f"above the limit of {format_bytes(self.limit)}"
            )
        soon = (self.limit - now.resident) / FASTEST_GROWTH
        self.due += min(max(soon, SHORTEST_LOOK), LONGEST_LOOK) - LONGEST_LOOK
        return ""


def kernel_killed(pid: int) -> str:
    """Return the kernel's own line on having killed this process for want of memory, if it can be read."""
    return find_kill(_kernel_log(), pid)


def find_kill(log: str, pid: int) -> str:
    """Find that line in a log."""
    pattern = re.compile(rf"\b(?:Out of memory|Memory cgroup out of memory): Killed process {pid} \([^\n]*")
    found = pattern.findall(log)
    return f"kernel log: {found[-1]}" if found else ""


def _kernel_log() -> str:
    if sys.platform != "linux":
        return ""
    buffer = ctypes.create_string_buffer(_KERNEL_LOG_BYTES)
    size = ctypes.CDLL(None).klogctl(_READ_KERNEL_LOG, buffer, _KERNEL_LOG_BYTES)
    return buffer.raw[: max(size, 0)].decode(errors="replace")


def count_machine_kills() -> int | None:
    """Count the processes that the kernel has killed for want of memory on this machine since it started."""
    with contextlib.suppress(OSError):
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
        return int(found[1]) if found else None
    return None


def forbid_core() -> None:
    """Keep a crash from writing gigabytes of core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def count_threads() -> int:
    """Count the threads of this process; those of Python alone where the system does not tell."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        import threading

        return threading.active_count()
