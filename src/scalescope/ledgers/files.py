"""The file under a ledger: its lock, its check before use, its backup, and what SQLite's errors mean.

A ledger is never opened in place before a copy of it was found whole, because SQLite itself changes what it
opens: it discards a log that does not belong to an empty file, and writes the log back when it closes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scalescope.errors import LedgerError, RunError, ScalescopeError
from scalescope.points import Finding

VERSION = 1
"""Of the tables below; a ledger with a higher one was written by a newer scalescope."""

MAIN = "ledger.sqlite"
LOCK = "ledger.lock"
BACKUP = "ledger.backup.sqlite"

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'lost', 'dropped')),
    payload TEXT NOT NULL,
    cause TEXT NOT NULL DEFAULT '',
    started REAL,
    finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE points (
    key TEXT PRIMARY KEY,
    trial TEXT NOT NULL REFERENCES trials (key),
    data TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE curves (trial TEXT PRIMARY KEY REFERENCES trials (key), data TEXT NOT NULL);
CREATE TABLE notes (id INTEGER PRIMARY KEY, created REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, created REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE findings (code TEXT NOT NULL, text TEXT NOT NULL, hint TEXT NOT NULL, UNIQUE (code, text));
"""

_JSON_COLUMNS = (
    ("meta", "value"),
    ("trials", "payload"),
    ("points", "data"),
    ("curves", "data"),
    ("notes", "data"),
    ("events", "data"),
)
_FREE_SPACE = "Free some space and give the same command again; what was recorded is kept."
_DISK_FULL = {sqlite3.SQLITE_FULL}
_NOT_WRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


class DamagedError(Exception):
    """A ledger file is not whole; the message says how it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a whole ledger file says about itself."""

    version: int
    changes: int
    """How many changes were made to it; of two copies the one with more is the later."""


def lock_folder(folder: Path) -> int:
    """Take the folder's lock, which the system frees however the holder ends.

    Returns
    -------
    int
        The file descriptor that holds the lock until it is closed.

    Raises
    ------
    LedgerError
        If another process holds it.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise explain_os(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise explain_os(error, folder) from error
        raise LedgerError(
            f"another scalescope is at work in {folder}",
            hint="Wait until it has ended, or choose another folder.",
        ) from None
    return descriptor


def create(path: Path) -> None:
    """Write an empty ledger beside `path` and rename it, so that half a ledger never has that name."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with closing(connect(part)) as connection:
        connection.executescript(f"BEGIN; {TABLES} COMMIT;")
        rows = [("version", str(VERSION)), ("changes", "0")]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    place(part, path)


def connect(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a database in autocommit mode: transactions are begun and ended in so many words."""
    connection = sqlite3.connect(path, uri=uri, isolation_level=None, timeout=10.0)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def examine(path: Path) -> Examined:
    """Check a ledger on a copy of it and of its log, leaving both alone.

    Raises
    ------
    DamagedError
        If anything of it is missing or unreadable.
    """
    with tempfile.TemporaryDirectory(prefix="scalescope-") as scratch:
        copy = Path(scratch) / MAIN
        shutil.copyfile(path, copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        if not copy.stat().st_size:
            raise DamagedError("it is empty")
        try:
            with closing(connect(copy)) as connection:
                return _examine_open(connection, copy)
        except sqlite3.Error as error:
            raise DamagedError(str(error)) from error


def back_up(connection: sqlite3.Connection, folder: Path) -> None:
    """Write the whole ledger to its backup, replacing the last one only when the new one is complete."""
    part = folder / (BACKUP + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(connect(part)) as target:
            connection.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        place(part, folder / BACKUP)
    except (OSError, sqlite3.Error):
        for leftover in (part, part.with_name(part.name + "-journal")):
            leftover.unlink(missing_ok=True)
        raise


def restore(folder: Path, finding: Finding) -> None:
    """Put the backup, with a finding that tells it, in the ledger's place; the damaged files are kept."""
    part = folder / (MAIN + ".part")
    shutil.copyfile(folder / BACKUP, part)
    with closing(connect(part)) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO findings VALUES (?, ?, ?)", (finding.code, finding.text, finding.hint)
        )
    _move_aside(folder)
    place(part, folder / MAIN)


def snapshot(path: Path) -> sqlite3.Connection:
    """Copy a ledger that may be in use into memory, where it can only be read."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with closing(connect(address, uri=True)) as source:
            source.backup(memory)
    except sqlite3.OperationalError:  # SQLite cannot put its log's index beside it: nobody writes there
        with closing(connect(f"{address}&immutable=1", uri=True)) as source:
            source.backup(memory)
    return memory


def check_version(version: int, folder: Path) -> None:
    """Refuse a ledger whose tables we do not know."""
    if version > VERSION:
        raise LedgerError(
            f"the ledger in {folder} was written by a newer version of scalescope "
            f"(format {version}, this one knows {VERSION})",
            hint="Update scalescope.",
        )


def place(part: Path, path: Path) -> None:
    """Rename a finished file to its name, both surely on disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what SQLite or the system raises within into an error of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, folder) from error
    except OSError as error:
        raise explain_os(error, folder) from error


def explain(error: sqlite3.Error, folder: Path) -> ScalescopeError:
    """Return what an error of SQLite means to the user, in one line with the next step."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DISK_FULL or (code == sqlite3.SQLITE_IOERR and not shutil.disk_usage(folder).free):
        return RunError(f"no space left for the ledger in {folder}", hint=_FREE_SPACE)
    if code in _NOT_WRITABLE:
        return RunError(f"the ledger in {folder} cannot be written: {error}", hint="Check its permissions.")
    if code in _DAMAGED:
        return LedgerError(
            f"the ledger in {folder} was damaged while it was in use: {error}",
            hint="Give the same command again: it checks the ledger and restores it from its backup.",
        )
    return LedgerError(f"the ledger in {folder} cannot be used: {error}", hint="Give the same command again.")


def explain_os(error: OSError, folder: Path) -> RunError:
    """Return what an error of the system means for the ledger, in one line with the next step."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"no space left for the ledger in {folder}", hint=_FREE_SPACE)
    return RunError(f"cannot use {folder}: {error.strerror}", hint="Check the folder and its permissions.")


def _examine_open(connection: sqlite3.Connection, copy: Path) -> Examined:
    """Merge the log into the copy, then check pages, tables and every value."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    if copy.stat().st_size % page_size:
        raise DamagedError("its last page is cut off")
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(" ".join(verdict.split()))
    try:
        meta = {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
        examined = Examined(version=int(meta["version"]), changes=int(meta["changes"]))
        if examined.version <= VERSION:
            for table, column in _JSON_COLUMNS:
                for (text,) in connection.execute(f"SELECT {column} FROM {table}"):  # noqa: S608 (our names)
                    json.loads(text)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"it holds a value that is not ours ({error})") from error
    return examined


def _move_aside(folder: Path) -> None:
    """Rename a ledger that cannot be used; its log goes first, as it must never meet another file."""
    number = 1
    while any(folder.glob(f"ledger.damaged-{number}.sqlite*")):
        number += 1
    kept = folder / f"ledger.damaged-{number}.sqlite"
    for ending in ("-wal", "-shm", ""):
        old = folder / (MAIN + ending)
        if old.exists():
            old.replace(kept.with_name(kept.name + ending))
