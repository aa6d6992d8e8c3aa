"""The ledger of a study or a bench: what is to be done, what became of it, and every measured point.

One SQLite file in the folder, written only by the driving process, one transaction a change. Killing
anything at any time loses nothing that a method has returned from.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scalescope.errors import InputError, LedgerError, RunError, nearest
from scalescope.ledgers import files as file
from scalescope.ledgers.folder import check_folder, make_whole, repair_unless_in_use
from scalescope.ledgers.identity import check_identity
from scalescope.ledgers.records import JSON, Note, Point, State, Trial
from scalescope.points import Finding


class Ledger:
    """What a study or a bench knows, on disk.  Built by `Ledger.open` to write and `Ledger.read` to read."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, lock: int | None, kind: str = "study"
    ) -> None:
        self.folder = folder
        self.kind = kind
        self._connection = connection
        self._lock = lock
        self._unsaved: tuple[Finding, ...] = ()

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: JSON | None = None,
        *,
        create: bool = True,
        extend: bool = False,
        extendable: Collection[str] = ("design",),
        kind: str = "study",
    ) -> Ledger:
        """Open the ledger of a folder for writing, alone.

        A damaged ledger is restored from its backup, which a finding tells; without a backup it is refused
        and left as it is.

        Parameters
        ----------
        folder
            The study's folder; made, with a ledger in it, if it is absent or empty.
        identity
            What makes the study this one; see `claim`.
        create
            Whether a ledger may be made where there is none.
        extend, extendable
            See `claim`.
        kind
            What the folder is called in messages: study or bench.

        Raises
        ------
        InputError
            If the folder holds something else, another study, or, without `create`, no ledger.
        LedgerError
            If another process is at work in it, or the ledger is damaged or from a newer version.
        RunError
            If the disk is full or the folder cannot be written.
        """
        check_folder(folder, create, kind)
        lock = file.lock_folder(folder)
        ledger = None
        try:
            with file.explained(folder):
                make_whole(folder)
                ledger = cls(folder, file.connect(folder / file.MAIN), lock, kind)
                ledger._connection.execute("PRAGMA journal_mode = WAL")
                ledger._connection.execute("PRAGMA synchronous = FULL")
            if identity is not None:
                ledger.claim(identity, extend=extend, extendable=extendable)
        except BaseException:
            if ledger is not None:
                ledger._connection.close()
            os.close(lock)
            raise
        return ledger

    @classmethod
    def read(cls, folder: Path, *, kind: str = "study") -> Ledger:
        """Take a snapshot of a ledger for reading, also while a study is at work in the folder.

        Raises
        ------
        InputError
            If the folder has no ledger.
        LedgerError
            If it is damaged without a backup, or from a newer version.
        """
        check_folder(folder, create=False, kind=kind)
        repair_unless_in_use(folder)
        with file.explained(folder):
            snapshot = file.snapshot(folder / file.MAIN)
        ledger = cls(folder, snapshot, None, kind)
        try:
            file.check_version(int(ledger.meta("version")), folder)
        except LedgerError:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Close the file and let others in."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the study is

    def claim(
        self, identity: JSON, *, extend: bool = False, extendable: Collection[str] = ("design",)
    ) -> None:
        """Write down which study this is, or check that it still is that one.

        Parameters
        ----------
        identity
            What all its points have in common, such as the digest of the corpus, the design, the recipe.
        extend
            Whether the fields named in `extendable` may change.
        extendable
            Fields at the top of `identity` that can change without making the points incomparable.

        Raises
        ------
        InputError
            If the folder holds another study; the message names what differs.
        """
        wanted = json.loads(json.dumps(identity))
        found = self.meta("identity")
        if found is None or check_identity(
            found, wanted, self.folder, extend=extend, extendable=extendable, kind=self.kind
        ):
            self.set_meta("identity", wanted)
            self._back_up()

    def meta(self, key: str, default: Any = None) -> Any:
        """Return a JSON value stored under a name."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0]["value"]) if rows else default

    def set_meta(self, key: str, value: Any) -> None:
        """Store a JSON value under a name, in place of what was there."""
        with self._change() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    # Trials

    def add_trials(self, trials: Mapping[str, JSON]) -> tuple[str, ...]:
        """Add trials, key to payload, as pending; those that are known stay as they are.

        Returns
        -------
        tuple of str
            The keys that are new.
        """
        known = {trial.key for trial in self.trials()}
        new = {key: json.dumps(payload) for key, payload in trials.items() if key not in known}
        with self._change() as connection:
            connection.executemany(
                "INSERT INTO trials (key, state, payload) VALUES (?, 'pending', ?)", new.items()
            )
        return tuple(new)

    def start(self, key: str) -> None:
        """Note that a trial runs, for one more time."""
        self._move(key, "running", "started = ?, finished = NULL, attempts = attempts + 1", time.time())

    def finish(self, key: str) -> None:
        """Note that a trial is done, which it then stays."""
        self._move(key, "done", "finished = ?", time.time())
        self._back_up()

    def fail(self, key: str, cause: str) -> None:
        """Note that a trial raised or diverged; it is not tried again."""
        self._move(key, "failed", "finished = ?", time.time(), cause)
        self._back_up()

    def lose(self, key: str, cause: str) -> None:
        """Note that a trial's worker died; it can be tried again."""
        self._move(key, "lost", "finished = ?", time.time(), cause)

    def drop(self, key: str, cause: str) -> None:
        """Note that a trial will not be made, such as when time runs out."""
        self._move(key, "dropped", "finished = ?", time.time(), cause)
        self._back_up()

    def reset_interrupted(self) -> tuple[str, ...]:
        """Make trials that ran or were lost when the last driver ended pending again; return their keys."""
        keys = tuple(trial.key for trial in self.trials() if trial.state in ("running", "lost"))
        with self._change() as connection:
            connection.execute(
                "UPDATE trials SET state = 'pending', cause = '' WHERE state IN ('running', 'lost')"
            )
        return keys

    def trials(self, state: State | None = None) -> tuple[Trial, ...]:
        """Return the trials, in the order they were added, of one state or all."""
        rows = self._rows("SELECT * FROM trials WHERE ?1 IS NULL OR state = ?1 ORDER BY rowid", state)
        return tuple(Trial(**{**row, "payload": json.loads(row["payload"])}) for row in rows)

    # What was measured

    def record_point(self, trial: str, key: str, data: JSON) -> bool:
        """Record a point unless its key is there already; say whether it is new."""
        self._check_trial(trial)
        with self._change() as connection:
            cursor = connection.execute(
                "INSERT INTO points (key, trial, data, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (key, trial, json.dumps(data), time.time()),
            )
        return cursor.rowcount == 1

    def withdraw_point(self, key: str) -> None:
        """Take a point back, so that it can be measured again; what it was stays among the events."""
        for point in self.points():
            if point.key == key:
                self.record_event("withdrawn", {"key": key, "trial": point.trial, "data": point.data})
        with self._change() as connection:
            connection.execute("DELETE FROM points WHERE key = ?", (key,))

    def points(self, trial: str | None = None) -> tuple[Point, ...]:
        """Return the points, oldest first, of one trial or all."""
        rows = self._rows("SELECT * FROM points WHERE ?1 IS NULL OR trial = ?1 ORDER BY rowid", trial)
        return tuple(Point(**{**row, "data": json.loads(row["data"])}) for row in rows)

    def record_curve(self, trial: str, data: JSON) -> None:
        """Record the learning curve of a trial, in place of an earlier attempt's."""
        self._check_trial(trial)
        with self._change() as connection:
            connection.execute("INSERT OR REPLACE INTO curves VALUES (?, ?)", (trial, json.dumps(data)))

    def curves(self) -> dict[str, JSON]:
        """Return the learning curves by trial."""
        rows = self._rows("SELECT * FROM curves ORDER BY rowid")
        return {row["trial"]: json.loads(row["data"]) for row in rows}

    # What was said

    def note(self, kind: str, data: JSON) -> Note:
        """Write something down with the time, such as a forecast before its rung is trained."""
        noted = self._append("notes", kind, data)
        self._back_up()
        return noted

    def notes(self, kind: str | None = None) -> tuple[Note, ...]:
        """Return what was written down, oldest first, of one kind or all."""
        return self._listed("notes", kind)

    def record_event(self, kind: str, data: JSON) -> Note:
        """Record something that happened to the study, such as a resume or a lost worker."""
        return self._append("events", kind, data)

    def events(self, kind: str | None = None) -> tuple[Note, ...]:
        """Return what happened, oldest first, of one kind or all."""
        return self._listed("events", kind)

    def record_finding(self, finding: Finding) -> None:
        """Record a finding, once."""
        with self._change() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO findings VALUES (?, ?, ?)", (finding.code, finding.text, finding.hint)
            )

    def findings(self) -> tuple[Finding, ...]:
        """Return the findings about the study, oldest first."""
        return (
            *(Finding(**row) for row in self._rows("SELECT * FROM findings ORDER BY rowid")),
            *self._unsaved,
        )

    # How it is done

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Make one change as a whole or not at all, and count it."""
        if self._lock is None:
            raise RunError(f"the ledger in {self.folder} was opened for reading", hint="Open it to write.")
        with file.explained(self.folder):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[JSON]:
        with file.explained(self.folder):
            cursor = self._connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _check_trial(self, key: str) -> State:
        rows = self._rows("SELECT state FROM trials WHERE key = ?", key)
        if not rows:
            raise InputError(
                f"no trial is called {key!r}", hint=nearest(key, [trial.key for trial in self.trials()])
            )
        state: State = rows[0]["state"]
        return state

    def _move(self, key: str, state: State, assignments: str, value: float, cause: str = "") -> None:
        if self._check_trial(key) == "done":
            raise InputError(f"the trial {key!r} is done and cannot become {state}")
        with self._change() as connection:
            connection.execute(
                f"UPDATE trials SET state = ?, cause = ?, {assignments} WHERE key = ?",  # noqa: S608 (our text)
                (state, cause, value, key),
            )

    def _append(self, table: str, kind: str, data: JSON) -> Note:
        created, text = time.time(), json.dumps(data)
        with self._change() as connection:
            cursor = connection.execute(
                f"INSERT INTO {table} (created, kind, data) VALUES (?, ?, ?)",  # noqa: S608 (our names)
                (created, kind, text),
            )
        return Note(id=int(cursor.lastrowid or 0), created=created, kind=kind, data=json.loads(text))

    def _listed(self, table: str, kind: str | None) -> tuple[Note, ...]:
        rows = self._rows(f"SELECT * FROM {table} WHERE ?1 IS NULL OR kind = ?1 ORDER BY id", kind)  # noqa: S608
        return tuple(Note(**{**row, "data": json.loads(row["data"])}) for row in rows)

    def _back_up(self) -> None:
        """Copy the ledger; that it cannot be copied is worth a finding, not the end of the study."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            file.back_up(self._connection, self.folder)
        except (OSError, sqlite3.Error) as error:
            self._unsaved = (
                Finding(
                    code="STU002",
                    text=f"The ledger's backup could not be written: {error}.",
                    hint="The ledger itself is fine; free some space.",
                ),
            )
        else:
            self._unsaved = ()
