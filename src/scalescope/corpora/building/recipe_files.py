"""Recipes as TOML: every key is known, every value has its type, and a message says where it stands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from scalescope.corpora.building.recipe import (
    ContaminationRecipe,
    DuplicatesRecipe,
    HeldOutRecipe,
    NearRecipe,
    Recipe,
    ShardsRecipe,
    SourceRecipe,
    TokenizerRecipe,
)
from scalescope.corpora.filters import FILTERS, Filter
from scalescope.errors import InputError, nearest

T = TypeVar("T")

_TABLES: dict[str, type] = {
    "duplicates": DuplicatesRecipe,
    "held_out": HeldOutRecipe,
    "contamination": ContaminationRecipe,
    "tokenizer": TokenizerRecipe,
    "shards": ShardsRecipe,
}
_KEYS = ("source", "filters", *_TABLES, "samples", "seed")
_HINT = "docs/data.md lists what a recipe may hold."


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it start at its own folder.

    Raises
    ------
    InputError
        If it is absent, is not TOML, or holds what no recipe holds; the message has the place.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}", hint="Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}", hint=_HINT) from None
    try:
        return recipe_from(tables, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}", hint=error.hint or _HINT) from None


def recipe_from(tables: Mapping[str, Any], folder: Path) -> Recipe:
    """Turn the tables of a recipe into a `Recipe`.

    Parameters
    ----------
    tables
        As TOML gives them.
    folder
        Where relative paths start.
    """
    _refuse_unknown(tables, _KEYS, "")
    given: dict[str, Any] = {
        name: _build(cls, tables[name], name) for name, cls in _TABLES.items() if name in tables
    }
    for name in ("samples", "seed"):
        if name in tables:
            given[name] = _convert(tables[name], int, name)
    return Recipe(
        sources=_sources(tables.get("source", [])),
        filters=_filters(tables.get("filters", {})),
        folder=folder,
        **given,
    )


def recipe_as_plain(recipe: Recipe) -> dict[str, Any]:
    """Return all that decides what is built, as JSON-ready values: defaults written out, no folder."""
    plain: dict[str, Any] = {
        name: msgspec.to_builtins(getattr(recipe, name)) for name in (*_TABLES, "samples", "seed")
    }
    plain["source"] = [msgspec.to_builtins(source) for source in recipe.sources]
    plain["filters"] = {one.name: msgspec.to_builtins(one) for one in recipe.filters}
    return {name: plain[name] for name in _KEYS}


def _sources(tables: object) -> tuple[SourceRecipe, ...]:
    if not isinstance(tables, list):
        raise InputError("source must be written [[source]], once for each")
    return tuple(
        _build(SourceRecipe, table, f"source number {number}") for number, table in enumerate(tables, start=1)
    )


def _filters(tables: object) -> tuple[Filter, ...]:
    if not isinstance(tables, Mapping):
        raise InputError("filters must be a table", hint="Switch one on by [filters.length].")
    _refuse_unknown(tables, FILTERS, "filters")
    return tuple(
        _build(cls, tables[name], f"filters.{name}") for name, cls in FILTERS.items() if name in tables
    )


def _build(cls: type[T], table: object, place: str) -> T:
    """Build a dataclass from a table, and those inside it from the tables inside."""
    if not isinstance(table, Mapping):
        raise InputError(f"{place} must be a table, got {table!r}")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]  # only dataclasses come here
    _refuse_unknown(table, known, place)
    kinds = get_type_hints(cls)
    values = {}
    for name, value in table.items():
        kind = kinds[name]
        inner = kind if not isinstance(kind, UnionType) else (set(get_args(kind)) - {NoneType}).pop()
        if inner is NearRecipe:
            values[name] = _build(NearRecipe, value, f"{place}.{name}")
        else:
            values[name] = _convert(value, kind, f"{place}.{name}")
    for name, field in known.items():
        if field.default is MISSING and field.default_factory is MISSING and name not in values:
            raise InputError(f"{place} has no {name}", hint=f"Add {name} = ... to it.")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{place}: {error}", hint=error.hint) from None


def _convert(value: object, kind: Any, place: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        cause = str(error)
        raise InputError(f"{place} = {value!r}: {cause[0].lower()}{cause[1:]}", hint=_HINT) from None


def _refuse_unknown(table: Mapping[str, Any], known: Any, place: str) -> None:
    for key in table:
        if key not in known:
            where = f"{place}.{key}" if place else key
            raise InputError(f"{where} is not known", hint=nearest(key, known))
