"""Requests as JSON and back: what crosses to another process or machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from scalescope.executors import JSON

T = TypeVar("T")


def plain(value: object) -> JSON:
    """Return a dataclass as JSON values; paths become text."""
    made: JSON = msgspec.to_builtins(value, enc_hook=_write)
    return made


def built(kind: type[T], data: JSON) -> T:
    """Return what `plain` was given."""
    return msgspec.convert(data, kind, dec_hook=_read)


def _write(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"cannot write {type(value)} as JSON")  # msgspec asks for this type


def _read(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return kind(value)
    raise NotImplementedError(f"cannot read {kind} from JSON")
