"""Files that came over the network, kept once a machine under the digest of their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scalescope.errors import RunError

_CHUNK = 1 << 20


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal, reading a little at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return this machine's folder for such files, making it where needed.

    Raises
    ------
    RunError
        If another user owns the folder, who could then change what is read.
    """
    folder = Path(tempfile.gettempdir()) / f"scalescope-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RunError(f"{folder} belongs to someone else", hint="Set TMPDIR to a folder of your own.")
    return folder


def keep_file(folder: Path, digest: str, suffix: str, size: int, chunks: Iterable[memoryview]) -> Path:
    """Return the path of the file with this digest, writing it from `chunks` unless it is there already.

    It is written beside its place and renamed, so that no reader sees half of it, whoever else writes the
    same; `chunks` is only read when it is needed.

    Raises
    ------
    RunError
        If the chunks do not have the digest.
    """
    path = folder / f"{digest}{suffix}"
    if path.is_file() and path.stat().st_size == size:
        return path
    found = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        written = Path(part.name)
        try:
            for chunk in chunks:
                found.update(chunk)
                part.write(chunk)
            part.flush()
            if found.hexdigest() != digest:
                raise RunError(f"{path.name} arrived with another content", hint="Run the trial again.")
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
    return path
