"""A file that appears under its name only when it is complete."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scalescope.errors import WorkError

_NEXT_STEP = {
    errno.ENOSPC: "Free some space, or write elsewhere.",
    errno.EDQUOT: "Free some space, or write elsewhere.",
    errno.EFBIG: "Free some space, or write elsewhere.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENOENT: "Make the folder first.",
    errno.ENOTDIR: "Make the folder first.",
    errno.EISDIR: "It is a folder; give a file name in it.",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; rename it when the block ends, remove it if it fails.

    A device, a pipe or a terminal, such as `/dev/stdout`, is written to itself: renaming would take its
    place. A link stays, and what it points to is replaced.

    Raises
    ------
    WorkError
        If the operating system refuses; what stood at `path` before is then still there.
    """
    try:
        place = path.resolve() if path.is_symlink() else path
        whole = place.is_file() or place.is_dir() or not path.exists()
        part = place.with_name(place.name + ".part") if whole else path
    except (OSError, RuntimeError) as error:
        raise _refused(path, error) from error
    try:
        yield part
        if whole:
            part.replace(place)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if whole:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _refused(path: Path, error: OSError | RuntimeError) -> WorkError:
    number = error.errno if isinstance(error, OSError) else None
    cause = error.strerror if isinstance(error, OSError) else None
    hint = _NEXT_STEP.get(number or 0, "Write elsewhere.")
    return WorkError(f"cannot write {path}: {cause or error}", hint=hint)
