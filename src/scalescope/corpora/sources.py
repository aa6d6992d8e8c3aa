"""Where a corpus comes from: the standard library, a file, a folder, or a named data set.

A source gives its documents in an order that depends on names and contents only, as often as it is asked,
and a manifest that changes when a file does, without reading any.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scalescope.corpora.documents import TABLE_SUFFIXES, Tally, read_dataset, read_document_file
from scalescope.errors import InputError, nearest

_NOT_LIBRARY = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})


class Source(Protocol):
    """Something that has documents."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    def manifest(self) -> str:
        """Return a hash of the names, sizes and times of the files; equal means unchanged."""
        ...

    def documents(self, tally: Tally) -> Iterator[bytes]:
        """Yield every document in a fixed order, counting in `tally` what is left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """One file: the rows of a table, or a text cut into pieces."""

    path: Path
    column: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def manifest(self) -> str:
        """Return a hash of path, size and time."""
        digest = hashlib.sha256()
        _add_file(digest, str(self.path.resolve()), self.path.stat())
        return digest.hexdigest()

    def documents(self, tally: Tally) -> Iterator[bytes]:
        """Yield the rows or the pieces."""
        return read_document_file(self.path, tally, column=self.column, cut=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """All text files below a folder, or all its tables when they are most of its bytes."""

    path: Path
    name: str
    column: str
    exclude: tuple[Path, ...] = ()
    library: bool = False
    """Whether this is Python's standard library: only `.py` files, no tests, nothing made by an install."""

    def manifest(self) -> str:
        """Return a hash of the paths, sizes and times of all files that count."""
        digest = hashlib.sha256(str(self.path.resolve()).encode())
        for path, status in self._files(Tally()):
            _add_file(digest, path.relative_to(self.path).as_posix(), status)
        return digest.hexdigest()

    def documents(self, tally: Tally) -> Iterator[bytes]:
        """Yield the files, sorted by name within each folder; binary and hidden ones are only counted."""
        tables = not self.library and self._mostly_tables()
        for path, _ in self._files(tally):
            if path.name.endswith(TABLE_SUFFIXES) is tables:
                yield from read_document_file(path, tally, column=self.column, cut=False)
            else:
                tally["other"] += 1

    def _mostly_tables(self) -> bool:
        n_bytes = {True: 0, False: 0}
        for path, status in self._files(Tally()):
            n_bytes[path.name.endswith(TABLE_SUFFIXES)] += status.st_size
        return n_bytes[True] > n_bytes[False]

    def _files(self, tally: Tally) -> Iterator[tuple[Path, os.stat_result]]:
        skipped = frozenset(path.resolve() for path in self.exclude)
        return self._walk(self.path, skipped, tally)

    def _walk(
        self, folder: Path, skipped: frozenset[Path], tally: Tally
    ) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except OSError as error:
            raise InputError(
                f"cannot read {folder}: {error.strerror}", hint="Check that it exists and may be read."
            ) from None
        for name in names:
            path = folder / name
            if name.startswith("."):
                tally["hidden"] += 1
            elif path.is_dir():
                if not (path.is_symlink() or path.resolve() in skipped or self._left_out(name)):
                    yield from self._walk(path, skipped, tally)
            elif self._wanted(name):
                status = _status(path)
                if status is not None and stat.S_ISREG(status.st_mode):
                    yield path, status
                else:
                    tally["special"] += 1

    def _left_out(self, name: str) -> bool:
        return name == "__pycache__" or (
            self.library and (name in _NOT_LIBRARY or name.startswith("config-"))
        )

    def _wanted(self, name: str) -> bool:
        # What an installation writes about itself would make the corpus differ between machines.
        return not self.library or (name.endswith(".py") and not name.startswith("_sysconfigdata"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSource:
    """A data set by name, read through the library `datasets`."""

    name: str
    column: str

    def manifest(self) -> str:
        """Return a hash of the name: what was once prepared is not asked for again."""
        return hashlib.sha256(f"{self.name}\n{self.column}".encode()).hexdigest()

    def documents(self, tally: Tally) -> Iterator[bytes]:
        """Yield the rows."""
        return read_dataset(self.name, tally, column=self.column)


def find_source(source: str | None, *, column: str = "text", exclude: Sequence[Path] = ()) -> Source:
    """Say what `source` is.

    Parameters
    ----------
    source
        None for the running Python's standard library; else a file, a folder, `hf:NAME[/CONFIG]`, or the
        bare name of a data set where no such path exists.
    column
        Where the text is in JSONL, Parquet and data sets.
    exclude
        Folders that are no part of a folder source, such as the study's own.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if source is None:
        library = Path(sysconfig.get_path("stdlib"))
        name = f"standard library of Python {platform.python_version()}"
        return FolderSource(path=library, name=name, column=column, library=True)
    if source.startswith("hf:") and len(source) > 3:
        return DatasetSource(name=source[3:], column=column)
    path = Path(source).expanduser()
    kind = _status(path) if source else None
    if kind is not None and stat.S_ISDIR(kind.st_mode):
        return _find_folder(path, column, exclude)
    if kind is not None:
        return FileSource(path=path, column=column)
    if _is_path(source):
        raise InputError(f"no such file or folder: {source!r}", hint=_siblings(path))
    return DatasetSource(name=source, column=column)


def _find_folder(path: Path, column: str, exclude: Sequence[Path]) -> FolderSource:
    if path.resolve() in {folder.resolve() for folder in exclude}:
        raise InputError(
            f"{path} is both the text and the place for its tokens", hint="Choose another place."
        )
    return FolderSource(path=path, name=path.resolve().name, column=column, exclude=tuple(exclude))


def _is_path(source: str) -> bool:
    """Whether a name that does not exist was meant as a path rather than as a data set."""
    parts = source.split("/")
    likely = (
        not source or source[0] in "./~" or len(parts) > 3 or not all(parts) or {"\\", "\0"} & set(source)
    )
    suffixed = Path(source).suffix.lower() in {".txt", ".md", ".py", ".json", ".jsonl", ".gz", ".parquet"}
    path = Path(source)
    beside = len(parts) > 1 and path.parent.is_dir()
    return bool(likely) or suffixed or beside or "Did you mean" in _siblings(path)


def _siblings(path: Path) -> str:
    """Return a hint that names what lies beside a path that does not exist."""
    try:
        names = [entry.name for entry in os.scandir(path.parent) if not entry.name.startswith(".")]
    except OSError:
        return f"The folder {path.parent} does not exist either."
    hint = nearest(path.name, names)
    return hint if hint.startswith("Did you mean") else "Check the path; for a data set write hf:NAME."


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None  # a link to nowhere, gone meanwhile, or no possible path


def _add_file(digest: hashlib._Hash, name: str, status: os.stat_result) -> None:
    digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
