"""A recipe as a table of TOML: every field by its name, the peak rates as a table of their own.

For example::

    optimizer = "adamw"
    clip = 0.5

    [rates]
    matrix = 0.008
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from scalescope.errors import InputError, nearest
from scalescope.training.rates import Rates
from scalescope.training.recipe import CHOICES, Recipe


def read_recipe(path: Path, base: Recipe | None = None) -> Recipe:
    """Read a recipe from a TOML file; fields that it does not name are those of `base`.

    Raises
    ------
    InputError
        If the file is no TOML, or a name or value in it is none of a recipe.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}", hint="Name a recipe file.") from None
    return recipe_of(table, base, where=f"{path}: ")


def recipe_of(table: Mapping[str, Any], base: Recipe | None = None, *, where: str = "") -> Recipe:
    """Return a recipe with the fields of a table.

    Parameters
    ----------
    where
        What stands before the place in a message, such as a file or the table's own name.

    Raises
    ------
    InputError
        If a name or value is none of a recipe.
    """
    base = base or Recipe()
    changes = _fields(Recipe, table, where)
    if "rates" in changes:
        # A table may give some of the rates; the others are those of the optimiser it names.
        plain = {name: value for name, value in changes.items() if name != "rates"}
        rates = replace(_checked(base, plain, where).peaks, **changes["rates"])
        changes["rates"] = rates
    return _checked(base, changes, where)


def _fields(kind: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = get_type_hints(kind)
    found = {}
    for name, value in table.items():
        if name not in known:
            raise InputError(f"{where}no setting is called {name!r}", hint=nearest(name, known))
        if name == "rates" and isinstance(value, Mapping):
            found[name] = _fields(Rates, value, f"{where}rates: ")
            continue
        try:
            found[name] = msgspec.convert(value, known[name])
        except msgspec.ValidationError as error:
            raise InputError(f"{where}{name}: {error}", hint=_hint(kind, name, value)) from None
    return found


def _hint(kind: type, name: str, value: object) -> str:
    if kind is Rates:
        return "Give a number."
    if name in CHOICES:
        return nearest(str(value), CHOICES[name])
    default = next(one.default for one in fields(kind) if one.name == name)
    return f"It is {default!r} by default."


def _checked(base: Recipe, changes: dict[str, Any], where: str) -> Recipe:
    try:
        return replace(base, **changes)
    except InputError as error:
        raise InputError(f"{where}{error}", hint=error.hint) from None
