"""Opening a folder with a ledger: what may be in it, and how the ledger is made, checked and restored."""

from __future__ import annotations

import os
from pathlib import Path

from scalescope.errors import InputError, LedgerError, RunError
from scalescope.ledgers import files as file
from scalescope.points import Finding

_OURS = {file.LOCK, file.MAIN + ".part", file.MAIN + ".part-journal"}


def check_folder(folder: Path, create: bool, kind: str = "study") -> None:
    """Refuse a folder that holds no `kind` (study or bench); nothing is changed before that is known."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", hint="Choose another folder with --out.")
    if any((folder / name).exists() for name in (file.MAIN, file.BACKUP)):
        return
    if not create:
        raise InputError(f"{folder} holds no {kind}", hint=f"Check the folder; a {kind} has a {file.MAIN}.")
    if folder.exists() and any(path.name not in _OURS and path.name[0] != "." for path in folder.iterdir()):
        raise InputError(
            f"{folder} is not empty and holds no {kind}", hint="Choose an empty or a new folder with --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file.explain_os(error, folder) from error


def make_whole(folder: Path) -> None:
    """See that the folder has a whole ledger of a version we know: check, restore, or make it."""
    main = folder / file.MAIN
    if not main.exists() and not (folder / file.BACKUP).exists():
        file.create(main)
        return
    found, reason = _examined(main)
    saved, _ = _examined(folder / file.BACKUP)
    if found is not None:
        file.check_version(found.version, folder)
        if saved is None or saved.changes <= found.changes:
            return
        reason = "it lacks changes that its backup has"
    if saved is None:
        raise LedgerError(
            f"the ledger in {folder} is damaged: {reason}",
            hint="Nothing was changed. Put a copy of it back, or move the folder away to start again.",
        )
    file.check_version(saved.version, folder)
    file.restore(
        folder,
        Finding(
            code="STU001",
            text=f"The ledger was damaged ({reason}) and was restored from its backup.",
            hint="What was recorded after the backup is made again; the damaged file is kept beside it.",
        ),
    )


def _examined(path: Path) -> tuple[file.Examined | None, str]:
    try:
        return file.examine(path), ""
    except FileNotFoundError:
        return None, "it is missing"
    except file.DamagedError as error:
        return None, str(error)


def repair_unless_in_use(folder: Path) -> None:
    """Check and restore before reading, unless somebody is at work or the folder is not ours to change."""
    try:
        lock = file.lock_folder(folder)
    except (LedgerError, RunError):
        return
    try:
        with file.explained(folder):
            make_whole(folder)
    finally:
        os.close(lock)
