"""Where a result came from: enough to make it again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

Option = str | int | float | bool | None


def installed_version() -> str:
    """Return the version of scalescope that is installed."""
    return metadata.version("scalescope")


def machine_name() -> str:
    """Describe this machine in a few words: system, processor family, Python; never its host name."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def digest_of(*parts: bytes) -> str:
    """Return the SHA-256 of `parts`, each preceded by its length so that borders count."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What went in: the source and its hash, the options, the seed, the version, the machine."""

    source: str = ""
    digest: str = ""
    """SHA-256 of the input, hexadecimal."""
    options: Mapping[str, Option] = field(default_factory=dict)
    seed: int | None = None
    version: str = field(default_factory=installed_version)
    machine: str = field(default_factory=machine_name)
