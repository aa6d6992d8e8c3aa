"""Whether a folder holds the study or bench that is meant: which fields of two identities differ."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from scalescope.errors import InputError

_SHOWN = 4
_LONGEST_VALUE = 24


def check_identity(
    found: Any, wanted: Any, folder: Path, *, extend: bool, extendable: Collection[str], kind: str = "study"
) -> bool:
    """Refuse a study (or bench, as `kind` says) that is not the one in the folder.

    Returns
    -------
    bool
        Whether the identity changes: `extend` is set and only extendable fields differ.

    Raises
    ------
    InputError
        If anything else differs; the message names what does, with both values.
    """
    differences = _differences(found, wanted)
    fixed = [name for name in differences if name.split(".")[0] not in extendable]
    if differences and (fixed or not extend):
        raise InputError(
            f"{folder} holds another {kind}: {_show(differences)}",
            hint="Choose another folder with --out."
            if fixed
            else "Add --extend to go on with the new design, or choose another folder with --out.",
        )
    return bool(differences)


def _differences(found: Any, wanted: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted names under which two JSON values differ, with both values."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return {} if found == wanted else {name: (found, wanted)}
    differences: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*found, *wanted)):
        inner = f"{name}.{key}" if name else key
        differences |= _differences(found.get(key), wanted.get(key), inner)
    return differences


def _show(differences: Mapping[str, tuple[Any, Any]]) -> str:
    def short(value: Any) -> str:
        text = json.dumps(value)
        return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"

    shown = [
        f"{name} is {short(found)} there and {short(wanted)} here"
        for name, (found, wanted) in list(differences.items())[:_SHOWN]
    ]
    more = len(differences) - _SHOWN
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")
