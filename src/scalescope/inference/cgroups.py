"""Memory limits and memory evidence from control groups (version 2; counters of version 1 are read too).

A leaf is made only in a folder that was delegated to us: one that `SCALESCOPE_CGROUP` names, or the parent of
our own group where systemd marked it as delegated (`systemd-run --user --scope -p Delegate=memory
-p DelegateSubgroup=main ...`). Nobody else's group is ever changed, and this process never changes its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "SCALESCOPE_CGROUP"
ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

_MARKS = ("user.delegate", "trusted.delegate")
_SECONDS_TO_REMOVE = 1.0
_NAMES = itertools.count()


def delegated_folder(*, root: Path = ROOT, own: Path = OWN) -> Path | None:
    """Return the folder in which leaves may be made, or None."""
    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named)
    else:
        path = dict(_memberships(own)).get("")
        if path is None or path == "/":
            return None
        folder = (root / path.lstrip("/")).parent
        if not _marked(folder):
            return None
    return folder if _has_memory(folder) else None


class Leaf:
    """One group for one process, removed again at the end.

    Parameters
    ----------
    folder
        Where it is made: a delegated one.
    limit
        Bytes that may be charged to it: what the process adds to the memory that it was forked with.

    Raises
    ------
    OSError
        If the system does not allow it after all.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder / f"scalescope-{os.getpid()}-{next(_NAMES)}"
        self.folder.mkdir()
        try:
            (self.folder / "memory.max").write_text(str(limit))
            for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):  # kernels without swap accounting have no such file
                    (self.folder / name).write_text(value)
        except OSError:
            self.remove()
            raise

    def add(self, pid: int) -> None:
        """Move a process here."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def kills(self) -> int:
        """Count the processes that the kernel killed here for want of memory."""
        return _count(self.folder / "memory.events", "oom_kill") or 0

    def remove(self) -> None:
        """Remove it; the kernel may need a moment after the last process."""
        until = time.monotonic() + _SECONDS_TO_REMOVE
        while self.folder.exists():
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            if time.monotonic() > until:
                return
            time.sleep(0.01)


def count_own_kills(*, root: Path = ROOT, own: Path = OWN) -> int | None:
    """Count kills for want of memory in the group of this process; None where none is to be read."""
    for controller, path in _memberships(own):
        if controller == "memory":
            file, name = root / "memory" / path.lstrip("/") / "memory.oom_control", "oom_kill"
        elif controller == "":
            file, name = root / path.lstrip("/") / "memory.events", "oom_kill"
        else:
            continue
        found = _count(file, name)
        if found is not None:
            return found
    return None


def headroom(*, root: Path = ROOT, own: Path = OWN) -> int | None:
    """Return the bytes that the groups of this process leave it, page cache given back; None if unlimited."""
    left = []
    for controller, path in _memberships(own):
        if controller == "memory":
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        elif controller == "":
            base, names = root, ("memory.max", "memory.current")
        else:
            continue
        for folder in _upwards(base, path):
            limit, used = (_number(folder / name) for name in names)
            if limit is not None and used is not None and limit < 1 << 60:
                cache = _count(folder / "memory.stat", "inactive_file") or 0
                left.append(max(limit - used + cache, 0))
    return min(left, default=None)


def free_bytes(*, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the memory that a new process could take here: of the machine, and of our group if less."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        import psutil

        return int(psutil.virtual_memory().available)
    known = [int(found[1]) << 10 if found else None, headroom()]
    return min((one for one in known if one is not None), default=None)


def _memberships(own: Path) -> Iterator[tuple[str, str]]:
    """Yield controller and path of every group of this process; the controller of version 2 is empty."""
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                yield controller, path


def _upwards(base: Path, path: str) -> Iterator[Path]:
    folder = base / path.lstrip("/")
    yield folder
    while folder != base and base in folder.parents:
        folder = folder.parent
        yield folder


def _marked(folder: Path) -> bool:
    """Tell whether systemd delegated this folder or one above it."""
    for one in (folder, *folder.parents):
        for mark in _MARKS:
            with contextlib.suppress(OSError, AttributeError):
                if os.getxattr(one, mark) == b"1":
                    return True
    return False


def _has_memory(folder: Path) -> bool:
    """Tell whether leaves of this folder can limit memory, switching it on where we may."""
    control = folder / "cgroup.subtree_control"
    try:
        if "memory" not in control.read_text().split():
            control.write_text("+memory")
            return "memory" in control.read_text().split()
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _count(file: Path, name: str) -> int | None:
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name} (\d+)$", file.read_text(), re.MULTILINE)
        return int(found[1]) if found else None
    return None


def _number(file: Path) -> int | None:
    with contextlib.suppress(OSError):
        text = file.read_text().strip()
        return int(text) if text.isdigit() else None
    return None
