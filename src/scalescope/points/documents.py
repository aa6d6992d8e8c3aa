"""Files and standard input as bytes: found, decompressed, of a known kind, not yet taken apart."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from scalescope.errors import InputError, nearest
from scalescope.points.provenance import digest_of

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""What is read; each also with an ending of `COMPRESSIONS` behind."""
COMPRESSIONS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    ".gz": (b"\x1f\x8b", gzip.decompress),
    ".xz": (b"\xfd7zXZ\x00", lzma.decompress),
}
"""Ending to the first bytes of such a file, and what undoes it."""

JSON = {".json", ".jsonl", ".ndjson"}
_ADVICE = {
    ".xlsx": "Save the sheet as CSV.",
    ".xls": "Save the sheet as CSV.",
    ".txt": "Name it .csv or .tsv if it is a table.",
    ".zip": "Unpack it first.",
    ".bz2": "Unpack it first.",
    ".zst": "Unpack it first.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The content of a file or of standard input, not yet taken apart."""

    source: str
    kind: str
    """One of `EXTENSIONS`."""
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return digest_of(self.content)


def open_document(path: str | Path) -> Document:
    """Read a file whole, or standard input for `-`, and decide what kind it is.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or its content contradicts its name.
    """
    if str(path) == "-":
        content = _inflate(sys.stdin.buffer.read(), "standard input")
        return Document(
            source="standard input",
            kind=_kind_of(content) or ".csv",
            content=_some(content, "standard input"),
        )
    path = Path(path)
    content, name = _read_bytes(path), path.name.lower()
    for ending, (_, undo) in COMPRESSIONS.items():
        if name.endswith(ending):
            content, name = _undone(content, undo, path.name, ending), name.removesuffix(ending)
    kind = Path(name).suffix
    if kind not in EXTENSIONS:
        raise InputError(
            f"{path.name} is not a table: its name ends in {kind or 'nothing'!r}",
            hint=f"{_ADVICE.get(kind, '')} Known: {', '.join(EXTENSIONS)}.".lstrip(),
        )
    _check_kind(path.name, kind, _kind_of(_some(content, path.name)))
    return Document(source=path.name, kind=kind, content=content)


def _check_kind(name: str, kind: str, looks: str | None) -> None:
    if looks is not None and looks != kind and not {looks, kind} <= JSON:
        raise InputError(
            f"{name} does not hold {kind[1:].upper()}",
            hint=f"Its content looks like {looks[1:].upper()}; name it accordingly.",
        )


def _kind_of(content: bytes) -> str | None:
    """Tell JSON, Parquet and compressed files by their first bytes; None for everything else."""
    for ending, (magic, _) in COMPRESSIONS.items():
        if content.startswith(magic):
            return ending
    if content.startswith(b"PAR1"):
        return ".parquet"
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": ".jsonl", b"[": ".json"}.get(start)


def _inflate(content: bytes, source: str) -> bytes:
    """Decompress what is recognised as compressed by its first bytes."""
    for ending, (magic, undo) in COMPRESSIONS.items():
        if content.startswith(magic):
            return _undone(content, undo, source, ending)
    return content


def _undone(content: bytes, undo: Callable[[bytes], bytes], source: str, ending: str) -> bytes:
    try:
        return undo(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        name = {".gz": "gzip", ".xz": "xz"}[ending]
        raise InputError(f"{source} is not {name}: {error}", hint="It may be truncated.") from None


def _some(content: bytes, source: str) -> bytes:
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError(f"{source} is empty", hint="Give it runs.")
    return content


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = nearest(path.name, _neighbours(path)) if _neighbours(path) else "Check the path."
        raise InputError(f"no such file: {path}", hint=hint) from None
    except IsADirectoryError:
        inside = ", ".join(sorted(_neighbours(path / "x")))
        hint = f"It holds {inside}." if inside else "It holds no table; give the table itself."
        raise InputError(f"{path} is a folder, not a table", hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {path}: {cause}", hint="Check its permissions.") from None


def _neighbours(path: Path) -> list[str]:
    """Tables in the same folder, to suggest."""
    try:
        found: Iterable[Path] = sorted(path.parent.iterdir())[:200]
    except OSError:
        return []
    known = {*EXTENSIONS, *COMPRESSIONS}
    return [entry.name for entry in found if entry.suffix in known]
