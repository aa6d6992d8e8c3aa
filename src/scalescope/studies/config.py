"""A study as a TOML file: what the command line can say, and the recipe, the shapes and what is varied.

::

    budget = "20m"
    max_epochs = 16

    [recipe]
    schedule = "cosine"

    [shape]
    attention = "window+full"

    [vary]
    optimizer = ["adamw", "muon"]

    [target]
    prose = 0.7
    code = 0.3

`layout = "fsdp=2"` spreads every trial over processes. What is in `recipe` and `shape` goes by the names of
the levers, with values as on the command line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from scalescope.cost.layout import Layout, parse_layout
from scalescope.errors import InputError, nearest
from scalescope.studies.request import OPTIONS, Request
from scalescope.training.levers import LEVERS, Variant, apply_lever

TABLES = ("recipe", "shape", "vary", "target", "layout")
PLAIN = (*OPTIONS, "corpus", "task", "max_epochs", "targets")
"""What may stand at the top of a file, beside its tables."""


def read_config(path: Path) -> dict[str, Any]:
    """Read a file into the fields of a `Request`; only what the file says is there.

    Raises
    ------
    InputError
        If the file cannot be read, or a name or a value in it is none that a study has.
    """
    tables = _tables(path)
    _refuse_unknown(tables, (*PLAIN, *TABLES), path, "setting")
    found = {name: _plain(name, value, path) for name, value in tables.items() if name in PLAIN}
    variant = Variant()
    for table in ("recipe", "shape"):
        variant = _applied(tables, table, variant, path)
    found |= {"recipe": variant.recipe} if "recipe" in tables else {}
    found |= {"shape": variant.shape} if "shape" in tables else {}
    if "vary" in tables:
        found["vary"] = {
            name: _values(name, values, path) for name, values in _table(tables, "vary", path).items()
        }
    if "layout" in tables:
        found["layout"] = _layout(tables["layout"], path)
    if "target" in tables:
        found["target"] = _target(_table(tables, "target", path), path)
    return found | {"config": path}


def _layout(said: Any, path: Path) -> Layout:
    """Read how trials are spread: `layout = "fsdp=2"`, or a table of the same."""
    words = said if isinstance(said, str) else None
    if isinstance(said, dict):
        words = ",".join(f"{name}={_word(value)}" for name, value in said.items())
    if words is None:
        raise InputError(f"{path}: layout cannot be {said!r}", hint='Write layout = "fsdp=2".')
    try:
        return parse_layout(words)
    except InputError as error:
        raise InputError(f"{path}: {error}", hint=error.hint) from None


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _target(table: Mapping[str, Any], path: Path) -> dict[str, float]:
    """Read the weights of the sources' losses."""
    for name, weight in table.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight < 0:
            raise InputError(
                f"{path}, [target]: {name} cannot be {weight!r}", hint="Give a weight, such as 0.5."
            )
    return {name: float(weight) for name, weight in table.items()}


def request_from(given: Mapping[str, Any], config: Path | None) -> Request:
    """Return what is asked for.

    Parameters
    ----------
    given
        Fields of a `Request` that were given beside the file, and win over it.
    config
        The file, if there is one.
    """
    if config is None:
        return _checked(Request(**given), given)
    said = read_config(config)
    if "vary" in given:
        given = {**given, "vary": {**said.get("vary", {}), **given["vary"]}}
    return _checked(Request(**{**said, **given}, alone=Request(**said)), {**said, **given})


def _checked(request: Request, given: Mapping[str, Any]) -> Request:
    """Refuse a design that was asked for and would not be used."""
    if request.vary and given.get("design", "ladder") != "ladder":
        raise InputError(
            f"variants are compared on a ladder, not on {given['design']}", hint="Leave the design out."
        )
    return request


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(
            f"cannot read {path}: {reason}", hint="Check the path that --config names."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path} is not TOML: {error}", hint="Write name = value lines and [tables]."
        ) from None


def _refuse_unknown(found: Mapping[str, Any], known: tuple[str, ...], path: Path, what: str) -> None:
    for name in found:
        if name not in known:
            raise InputError(f"{path}: no {what} is called {name!r}", hint=nearest(name, known))


def _plain(name: str, value: Any, path: Path) -> Any:
    """Check a value at the top of the file against the kind of the field."""
    kinds: dict[str, Callable[[Any], Any]] = {"tokenizer": Path, "max_epochs": float, "watts": float}
    wanted = {one.name: str(one.type) for one in fields(Request)}[name]
    if name == "targets":
        wrong = not isinstance(value, list) or not all(isinstance(one, str) for one in value)
        value = tuple(value) if not wrong else value
    elif name in ("max_epochs", "watts"):
        wrong = isinstance(value, bool) or not isinstance(value, (int, float))
    else:
        wrong = not isinstance(value, int if wanted == "int" else str) or isinstance(value, bool)
    if wrong:
        raise InputError(f"{path}: {name} cannot be {value!r}", hint="Write it as the command line does.")
    return kinds.get(name, lambda same: same)(value)


def _table(tables: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = tables[name]
    if not isinstance(found, dict):
        raise InputError(f"{path}: {name} is a table", hint=f"Write [{name}] on a line of its own.")
    return found


def _applied(tables: Mapping[str, Any], table: str, variant: Variant, path: Path) -> Variant:
    """Apply the levers of one table."""
    if table not in tables:
        return variant
    known = tuple(lever.name for lever in LEVERS.values() if lever.kind == table)
    settings = _flat(_table(tables, table, path))
    _refuse_unknown(settings, known, path, f"setting of [{table}]")
    for name, value in settings.items():
        try:
            variant = apply_lever(name, _text(value), variant)
        except InputError as error:
            raise InputError(f"{path}, [{table}]: {error}", hint=error.hint) from None
    return variant


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Write a table in a table with a dot, as levers are named."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        inner = (
            {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        )
        found |= inner
    return found


def _values(name: str, values: Any, path: Path) -> tuple[str, ...]:
    given = values.split(",") if isinstance(values, str) else values
    if not isinstance(given, list):
        raise InputError(f"{path}: {name} is varied over a list", hint=f'Write {name} = ["a", "b"].')
    return tuple(_text(value).strip() for value in given)


def _text(value: Any) -> str:
    """Write a TOML value as the command line has it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
