"""How every result becomes JSON and comes back: one encoder, one decoder, one `schema` key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from scalescope.errors import InputError
from scalescope.points.files import replacing

T = TypeVar("T")


def to_plain(result: object, schema: str) -> dict[str, Any]:
    """Turn a result dataclass into JSON-ready values under a `schema` key such as `scalescope.fit/1`.

    Arrays become nested lists; NaN and infinities become the strings "nan", "inf" and "-inf", as JSON
    has neither.
    """
    plain = msgspec.to_builtins(result, enc_hook=_encode)
    return {"schema": schema, **_spell_nonfinite(plain)}


def from_plain(cls: type[T], data: Mapping[str, Any], schema: str) -> T:
    """Build `cls` from what `to_plain` made.

    Raises
    ------
    InputError
        If the data has another schema or a field of the wrong type; the message has the path to it.
    """
    found = data.get("schema")
    if found != schema:
        raise InputError(
            f"expected {schema}, got {found!r}",
            hint="The file holds another kind of result, or was written by another version of scalescope.",
        )
    fields = {key: value for key, value in data.items() if key != "schema"}
    try:
        return msgspec.convert(fields, cls, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise InputError(f"not a valid {schema}: {error}", hint="Write it again with scalescope.") from error


def write_json(path: Path, plain: Mapping[str, Any]) -> None:
    """Write beside `path` and rename, so that a reader never sees half a file.

    Raises
    ------
    WorkError
        If the operating system refuses; see `replacing`.
    """
    text = json.dumps(plain, indent=1, allow_nan=False) + "\n"
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a result file.

    Raises
    ------
    InputError
        If the file is absent, is not JSON, or does not hold an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no such file: {path}", hint="Check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON: {error}", hint="The file may be truncated.") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} does not hold a result", hint="Expected a JSON object with a schema key.")
    return data


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"cannot write {type(value)} as JSON")  # msgspec asks for this type


def _decode(kind: type, value: Any) -> Any:
    if isinstance(value, list):
        return np.array(value, dtype=np.float64)
    # A TypeError becomes a validation error with the path; anything else would be a traceback.
    raise TypeError(f"expected a list of numbers for {kind}, got {type(value).__name__}")


def _spell_nonfinite(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _spell_nonfinite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell_nonfinite(item) for item in value]
    return value
