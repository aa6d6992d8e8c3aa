"""What `scalescope doctor` looks at: the machine, its speed, and the optional libraries."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An optional part of the installation."""

    name: str
    installed: dict[str, str]
    """Library to version."""
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that brings what is missing."""
        return f"pip install 'scalescope[{self.name}]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine has, in base units."""

    schema: ClassVar[str] = "scalescope.doctor/1"

    version: str
    python: str
    system: str
    processor: str
    cores: float
    """Processors that this process may use, quotas included."""
    memory_bytes: int
    memory_free_bytes: int
    disk_free_bytes: int
    """Where the command runs."""
    gpus: tuple[str, ...]
    extras: tuple[Extra, ...]
    matmul_flop_per_s: dict[str, float] = field(default_factory=dict)
    """What multiplied to the best rate measured."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, with the command that installs each extra."""
        plain = {"schema": self.schema, **asdict(self)}
        plain["extras"] = [asdict(extra) | {"install": extra.install} for extra in self.extras]
        return plain


def examine(*, measure: bool = True) -> Machine:
    """Look at this machine; measuring its speed takes about a second."""
    total, free = _memory()
    return Machine(
        version=metadata.version("scalescope"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=_cores(),
        memory_bytes=total,
        memory_free_bytes=free,
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        gpus=_gpus(),
        extras=_extras(),
        matmul_flop_per_s=_rates() if measure else {},
    )


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _cores() -> float:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read(_CGROUP / "cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        return min(float(allowed), float(quota[0]) / float(quota[1]))
    return float(allowed)


def _memory() -> tuple[int, int]:
    """Bytes in all and bytes free, both within the limit of a container."""
    lines = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE))
    if lines:
        total, free = int(lines["MemTotal"]) * 1024, int(lines["MemAvailable"]) * 1024
    else:
        total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, used = _read(_CGROUP / "memory.max").strip(), _read(_CGROUP / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        total, free = min(total, int(limit)), min(free, max(int(limit) - int(used), 0))
    return total, free


def _gpus() -> tuple[str, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in found.splitlines() if line.strip())


def _extras() -> tuple[Extra, ...]:
    """Read the extras and their libraries from our own package metadata."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("scalescope") or []:
        found = re.match(r"([A-Za-z0-9._-]+).*;\s*extra == [\"']([^\"']+)[\"']", requirement)
        if found and found[2] != "dev":
            wanted.setdefault(found[2], []).append(found[1])
    extras = []
    for name, libraries in wanted.items():
        versions = {library: _version(library) for library in libraries}
        extras.append(
            Extra(
                name=name,
                installed={library: version for library, version in versions.items() if version},
                missing=tuple(library for library, version in versions.items() if not version),
            )
        )
    return tuple(extras)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _rates() -> dict[str, float]:
    rates = {"numpy float32, default threads": _numpy_rate()}
    if find_spec("torch") is not None:
        from scalescope.training.matmul import matmul_rate

        rates["torch float32, 1 thread"] = matmul_rate("float32")
        rates["torch bfloat16, 1 thread"] = matmul_rate("bfloat16")
    return rates


def _numpy_rate(size: int = 768, seconds: float = 0.3) -> float:
    import numpy as np

    left = np.ones((size, size), dtype=np.float32)
    out = left @ left
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(left, left, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * float(size) ** 3 / best


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
